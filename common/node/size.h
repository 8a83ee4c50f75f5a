/* Check of --size against what the machine has. */
#ifndef KEYDIR_SIZE_H
#define KEYDIR_SIZE_H

struct node;

/* Log a warning if --size can hardly be meant: too small to hold anything, or more than the
 * store's file system or the memory. The store is open. */
void size_warn(const struct node *node);

#endif
