/* The channel: how requests come from the kernel, and replies and notifications go. */
#ifndef KEYDIR_FS_CHANNEL_H
#define KEYDIR_FS_CHANNEL_H

struct mount;

/* Lets M's session, which is mounted, read and write by us. 0 or -errno. */
int channel_open(struct mount *m);

#endif
