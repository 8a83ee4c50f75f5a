/* Name: maps a name in a directory to its inode. */
#ifndef KEYDIR_STORE_NAME_H
#define KEYDIR_STORE_NAME_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <stddef.h>

/* Find the inode of NAME in the directory PARENT. *RET_DIR (may be NULL) says whether it is
 * a directory. Returns 0, -ENOENT, or -EIO for a damaged row. */
int store_lookup(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t *ret,
                 bool *ret_dir);

/* Decode a row that was found otherwise into the inode and its type: S_IFREG, S_IFDIR or
 * S_IFLNK. Returns 0 or -EIO. */
int store_name_decode(struct bytes value, uint64_t *ret_ino, uint32_t *ret_type);

/* A scan of the names in a directory, in byte order. */
struct scan;
/* Start a scan after the name AFTER (NULL: at the first name). Returns 0 and *RET
 * (scan_close() before TXN ends), -ENOMEM or -EIO. */
int scan_open(struct txn *txn, uint64_t parent, const char *after, size_t after_len,
              struct scan **ret);
/* Return the next name. The pointer is valid until the next call. *RET_DIR as above.
 * Returns 0, -ENOENT at the end, or -EIO. */
int scan_next(struct scan *scan, const char **ret_name, size_t *ret_len, uint64_t *ret_ino,
              bool *ret_dir);
/* Return the type of the last name returned: S_IFREG, S_IFDIR or S_IFLNK. */
uint32_t scan_type(const struct scan *scan);
/* End the scan. NULL is allowed. */
void scan_close(struct scan *scan);

/* The following are for write transactions and return 0, -ENOSPC or -EIO. After an error
 * the transaction can only be aborted. */
/* Create the name, or make an existing one lead to INO. */
int store_link(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
               bool dir);
/* Do the same with the type taken from MODE (S_IFREG, S_IFDIR, S_IFLNK). */
int store_link_type(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
                    uint32_t mode);
/* Remove the name; -ENOENT if it does not exist. */
int store_unlink(struct txn *txn, uint64_t parent, const char *name, size_t len);

#endif
