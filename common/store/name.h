/* Names: which inode a name in a directory leads to. */
#ifndef KEYDIR_STORE_NAME_H
#define KEYDIR_STORE_NAME_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <stddef.h>

/* The inode that NAME in the directory PARENT leads to. *RET_DIR (may be NULL) says if
 * it is a directory. 0, -ENOENT, -EIO (a broken row). */
int store_lookup(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t *ret,
                 bool *ret_dir);

/* Decode a row that was found otherwise: the inode, and its type as S_IFREG, S_IFDIR or
 * S_IFLNK. 0 or -EIO. */
int store_name_decode(struct bytes value, uint64_t *ret_ino, uint32_t *ret_type);

/* A walk over a directory's names in byte order. */
struct scan;
/* Starts behind AFTER (NULL: at the first). 0 and *RET (scan_close(), before TXN
 * ends), -ENOMEM, -EIO. */
int scan_open(struct txn *txn, uint64_t parent, const char *after, size_t after_len,
              struct scan **ret);
/* The next name; the pointer is valid until the next call. *RET_DIR as above. 0,
 * -ENOENT at the end, -EIO. */
int scan_next(struct scan *scan, const char **ret_name, size_t *ret_len, uint64_t *ret_ino,
              bool *ret_dir);
/* S_IFREG, S_IFDIR or S_IFLNK: the type of the name that scan_next gave last. */
uint32_t scan_type(const struct scan *scan);
/* NULL is fine. */
void scan_close(struct scan *scan);

/* In write transactions: 0, -ENOSPC, -EIO. After an error the transaction can only be
 * aborted. */
/* Makes the name, or has it lead to INO from now on. */
int store_link(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
               bool dir);
/* The same with the type as in MODE (S_IFREG, S_IFDIR, S_IFLNK). */
int store_link_type(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
                    uint32_t mode);
/* Removes it; -ENOENT without one. */
int store_unlink(struct txn *txn, uint64_t parent, const char *name, size_t len);

#endif
