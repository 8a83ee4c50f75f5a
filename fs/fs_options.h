/* Options of keydir-fs: those of the command line, and those that mount(8) passes with -o. */
#ifndef KEYDIR_FS_OPTIONS_H
#define KEYDIR_FS_OPTIONS_H

#include "common/node/options.h"

#include <stdbool.h>
#include <stdio.h>

/* Room for the options passed on to libfuse. */
#define FS_PASS_MAX 1024

struct fs_options {
	struct node_options node;
	struct option_list mount_options; /* of each -o, a list separated by commas */
	bool foreground;
	bool help;
	bool version;
	bool man; /* write the options' part of the manual */
	const char *log_file;
	const char *metrics_file; /* NULL: write none */
	uint64_t check_rate;      /* comparisons in a second (check.h); 0: none */
	const char *source;       /* NULL: not given */
	const char *mountpoint;

	/* Set by -o. */
	bool read_only;
	bool allow_other;
	bool no_cache;
	bool async_close;
	bool no_symlinks; /* nosymfollow */
	bool remount;     /* change the flags of an existing mount */
	bool writable;    /* rw was given */
	bool inotify;
	uint64_t spin_us;
	uint64_t uid; /* UINT64_MAX: not given */
	uint64_t gid;
	const char *umask;      /* octal, or NULL */
	const char *subdir;     /* key of the directory to mount, or NULL */
	char pass[FS_PASS_MAX]; /* options for libfuse and the kernel, separated by commas */
	char *text;             /* owned copy that the fields above point into */
};

/* Parse the command line of keydir-fs or mount.fuse.keydir. Returns 0, or -EINVAL or -ENOMEM with a
 * sentence in WHY. After success, call fs_options_close(). *RET points into ARGV. */
int fs_options_parse(int argc, char **argv, struct fs_options *ret, char *why, size_t why_size);
void fs_options_close(struct fs_options *options);
/* Write the help text. */
void fs_options_help(FILE *to);
/* Write the options' part of the manual, in mdoc(7). */
void fs_options_man(FILE *to);

#endif
