/* Channel: reads requests from the kernel, and writes replies and notifications. */
#ifndef KEYDIR_FS_CHANNEL_H
#define KEYDIR_FS_CHANNEL_H

struct mount;

/* Let M's session, which is mounted, read and write through this module. Returns 0 or -errno. */
int channel_open(struct mount *m);

#endif
