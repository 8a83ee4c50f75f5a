/* What the kernel keeps of a value: its size and pages, which belong together. */
#ifndef KEYDIR_FS_SHOWN_H
#define KEYDIR_FS_SHOWN_H

#include "fs/file.h"

/* For so long at most an older value is shown than the store has. */
#define SHOWN_MAX_MS 1000

/* --- the caller holds F->lock ---------------------------------------------- */

/* Brings F->last up to VIEW, and chooses what the kernel may be given of the
 * value: the F->shown that there is, or the newest if there is none, or if that
 * one has been behind for too long at NOW_MS (clock_mono_ms()). While this mount
 * has changes of its own F->shown is NULL. 0; -ENOMEM, -EIO. */
int shown_load(struct file *f, const struct view *view, int64_t now_ms);
/* The second half of it, for a born file without a buffer that was brought up to VIEW
 * just now. */
int shown_choose(struct file *f, const struct view *view, int64_t now_ms);

/* What a read through the kernel's cache is answered with: a reference, or NULL. */
struct content *shown_content(struct file *f);

/* The kernel is given the newest from now on. */
void shown_drop(struct file *f);

/* --- these take it themselves ---------------------------------------------- */

/* The same for the file of an inode as the kernel knows it, if there is one. Call it
 * just before the kernel is told to forget the value. */
void shown_told(struct files *files, uint64_t ino);
/* The same for all the numbers of the store's inode REAL: this mount has changed its
 * value. */
void shown_changed(struct files *files, uint64_t real);

#endif
