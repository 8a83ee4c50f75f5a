/* Options of keydir-fs: those of the command line, and those that mount(8) passes with -o.
 *
 * One table has the long options, another one the names that only -o accepts. -o accepts every long
 * option as well, so that a line in fstab can set everything. Names that libfuse knows are passed
 * on to it, names that mount(8) passes but that are meant for other programs are ignored, and an
 * unknown name is an error. Paths are made absolute here, because a daemon changes its directory.
 * No state, no lock. */
#include "fs/fs_options.h"

#include "fs/check.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_row long_rows[] = {
	NODE_OPTION_ROWS(struct fs_options, node),
	{ "options", 'o', NULL, OPTION_LIST, "NAME[=VALUE],...", NULL,
	  "mount options, listed below; the long options can be given here, too",
	  offsetof(struct fs_options, mount_options) },
	{ "foreground", 'f', NULL, OPTION_FLAG, NULL, NULL,
	  "stay in the foreground and log to stderr", offsetof(struct fs_options, foreground) },
	{ "log-file", 0, NULL, OPTION_TEXT, "FILE", NULL,
	  "append the log to a file instead of syslog or stderr",
	  offsetof(struct fs_options, log_file) },
	{ "metrics-file", 0, NULL, OPTION_TEXT, "FILE", NULL,
	  "write Prometheus metrics to a file every 10 s, for the node exporter",
	  offsetof(struct fs_options, metrics_file) },
	{ "check-rate", 0, "KEYDIR_CHECK_RATE", OPTION_COUNT, "N", "4",
	  "entries in the kernel's cache to compare with the store each second, 1000 at most; 0: "
	  "none",
	  offsetof(struct fs_options, check_rate) },
	{ "help", 'h', NULL, OPTION_FLAG, NULL, NULL, "show this help",
	  offsetof(struct fs_options, help) },
	{ "version", 'V', NULL, OPTION_FLAG, NULL, NULL, "show the version",
	  offsetof(struct fs_options, version) },
	{ 0 },
};

static const struct option_row mount_rows[] = {
	{ "ro", 0, NULL, OPTION_FLAG, NULL, NULL, "refuse all changes through this mount",
	  offsetof(struct fs_options, read_only) },
	{ "allow_other", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "let other users use the mount, as far as modes allow",
	  offsetof(struct fs_options, allow_other) },
	{ "uid", 0, NULL, OPTION_COUNT, "UID", NULL,
	  "owner of all files (default: the user who mounts)", offsetof(struct fs_options, uid) },
	{ "gid", 0, NULL, OPTION_COUNT, "GID", NULL,
	  "group of all files (default: that of the user who mounts)",
	  offsetof(struct fs_options, gid) },
	{ "umask", 0, NULL, OPTION_TEXT, "OCTAL", NULL, "mode bits to clear in all files",
	  offsetof(struct fs_options, umask) },
	{ "subdir", 0, NULL, OPTION_TEXT, "KEY", NULL,
	  "mount this directory of the cache instead of all of it",
	  offsetof(struct fs_options, subdir) },
	{ "nocache", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "keep the kernel from caching names, attributes and pages",
	  offsetof(struct fs_options, no_cache) },
	{ "async_close", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "do not wait for the log in close; fsync waits, and reports earlier failures",
	  offsetof(struct fs_options, async_close) },
	{ "nosymfollow", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "do not follow symbolic links on the mount", offsetof(struct fs_options, no_symlinks) },
	{ "remount", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "change the flags (ro, rw, nodev ...) of an existing mount, and start nothing",
	  offsetof(struct fs_options, remount) },
	{ "rw", 0, NULL, OPTION_FLAG, NULL, NULL, "allow changes, unless ro follows",
	  offsetof(struct fs_options, writable) },
	{ "inotify", 0, NULL, OPTION_FLAG, NULL, NULL,
	  "also report changes made elsewhere to programs that watch the mount (inotify)",
	  offsetof(struct fs_options, inotify) },
	{ "spin", 0, NULL, OPTION_COUNT, "MICROSECONDS", "0",
	  "after a request, poll for the next one for this long before sleeping; "
	  "0: sleep at once",
	  offsetof(struct fs_options, spin_us) },
	{ 0 },
};

/* Options that are passed on unchanged to libfuse and the kernel. */
static const char *const passed[] = {
	"dev",      "nodev",      "suid",        "nosuid",       "exec",
	"noexec",   "sync",       "dirsync",     "noatime",      "fsname=",
	"context=", "fscontext=", "defcontext=", "rootcontext=", NULL,
};

/* Options for mount(8), systemd and others, and those that are always in effect: reading never
 * changes access times, and mount(8)'s async is the opposite of sync, and the default. */
static const char *const ignored[] = {
	"defaults",
	"async",
	"auto",
	"noauto",
	"user",
	"nouser",
	"users",
	"nousers",
	"owner",
	"group",
	"_netdev",
	"nofail",
	"atime",
	"diratime",
	"nodiratime",
	"norelatime",
	"nostrictatime",
	"symfollow",
	"mand",
	"nomand",
	"iversion",
	"noiversion",
	"relatime",
	"strictatime",
	"lazytime",
	"nolazytime",
	"default_permissions",
	"loud",
	"silent",
	"comment=",
	"x-",
	"X-",
	"subtype=",
	"uhelper=",
	"helper=",
	/* The kernel shows these of the mount, and mount(8) passes them back for a remount. */
	"user_id=",
	"group_id=",
	"rootmode=",
	"max_read=",
	"blksize=",
	"user=",
	NULL,
};

__attribute__((format(printf, 3, 4))) static int refuse_option(char *why, size_t size,
                                                               const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* Return whether ITEM (with its value) is in LIST. An entry of the list that ends in '=' or '-'
 * matches all items that begin with it. */
static bool is_listed(const char *const *list, const char *item)
{
	for (; *list; list++) {
		size_t len = strlen(*list);
		char end = (*list)[len - 1];

		if (end == '=' || end == '-' ? strncmp(item, *list, len) == 0 :
		                               strcmp(item, *list) == 0)
			return true;
	}
	return false;
}

static const struct option_row *find_row(const struct option_row *table, const char *name,
                                         size_t len)
{
	for (; table->name; table++) {
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	}
	return NULL;
}

static int pass_to_libfuse(struct fs_options *options, const char *item, char *why, size_t why_size)
{
	size_t used = strlen(options->pass);
	char *to = options->pass + used;

	/* libfuse splits the list at commas. */
	if (strchr(item, ','))
		return refuse_option(why, why_size, "-o %s: must not contain a comma", item);
	if ((size_t)snprintf(to, FS_PASS_MAX - used, ",%s", item) >= FS_PASS_MAX - used)
		return refuse_option(why, why_size, "-o %s: too many mount options", item);
	return 0;
}

static int set_mount_option(struct fs_options *options, char *item, char *why, size_t why_size)
{
	size_t len = strcspn(item, "=");
	const char *value = item[len] ? item + len + 1 : NULL;
	const struct option_row *row = find_row(mount_rows, item, len);
	char reason[200];

	/* Without a value, `sync` is the option of mount(8) and not --sync WHEN. */
	if (!row && (value || !is_listed(passed, item)))
		row = find_row(long_rows, item, len);
	if (row && row->type == OPTION_LIST && row->letter == 'o')
		row = NULL;
	if (row && row->type != OPTION_FLAG && !value)
		return refuse_option(why, why_size, "-o %s: needs a value", item);
	if (row) {
		item[len] = '\0';
		if (options_set(row, value ? value : "yes", options, reason, sizeof(reason)) < 0)
			return refuse_option(why, why_size, "-o %s", reason);
		/* The last one of ro and rw wins. */
		if (strcmp(item, "ro") == 0)
			options->writable = false;
		else if (strcmp(item, "rw") == 0)
			options->read_only = false;
		return 0;
	}
	if (is_listed(ignored, item))
		return 0;
	if (is_listed(passed, item))
		return pass_to_libfuse(options, item, why, why_size);
	return refuse_option(why, why_size, "-o %s: no such mount option; see --help", item);
}

/* Take the next item off the list *REST: terminate it at its comma, and remove the backslashes that
 * escape commas in it. */
static char *next_item(char **rest)
{
	char *item = *rest, *to = item, *from = item;

	for (; *from && *from != ','; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*rest = *from ? from + 1 : from;
	*to = '\0';
	return item;
}

static int set_mount_options(struct fs_options *options, char *why, size_t why_size)
{
	const struct option_list given = options->mount_options;
	size_t len = 1;

	for (size_t i = 0; i < given.n; i++)
		len += strlen(given.items[i]) + 1;
	options->text = calloc(1, len);
	if (!options->text) {
		refuse_option(why, why_size, "out of memory");
		return -ENOMEM;
	}
	char *end = options->text;
	for (size_t i = 0; i < given.n; i++) {
		if (i)
			*end++ = ',';
		end = stpcpy(end, given.items[i]);
	}
	for (char *rest = options->text; *rest;) {
		char *item = next_item(&rest);
		int r = *item ? set_mount_option(options, item, why, why_size) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_options(const struct fs_options *options, char *why, size_t why_size)
{
	if (options->inotify && options->read_only)
		return refuse_option(why, why_size, "-o inotify cannot be combined with ro");
	if (options->check_rate > CHECK_RATE_MAX)
		return refuse_option(why, why_size, "--check-rate %llu: at most %d",
		                     (unsigned long long)options->check_rate, CHECK_RATE_MAX);
	if (options->inotify && options->no_cache)
		return refuse_option(why, why_size, "-o inotify cannot be combined with nocache");
	return 0;
}

/* Return PATH as an absolute path, which is never freed. */
static const char *make_absolute(const char *path)
{
	char cwd[PATH_MAX], *full;

	if (!path || path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return path;
	return asprintf(&full, "%s/%s", cwd, path) < 0 ? path : full;
}

/* Set the operands: SOURCE MOUNTPOINT, or MOUNTPOINT alone. */
static int set_operands(struct fs_options *options, char **args, int n, char *why, size_t why_size)
{
	if (n < 1)
		return refuse_option(why, why_size,
		                     "no mount point given: name a directory; see --help");
	if (n > 2)
		return refuse_option(
		        why, why_size,
		        "unexpected operand \"%s\": give at most a source and a mount point",
		        args[2]);
	options->mountpoint = make_absolute(args[n - 1]);
	options->source = n == 2 ? args[0] : NULL;
	if (n == 1 || strcmp(args[0], "keydir") == 0 || strcmp(args[0], "none") == 0)
		return 0;
	if (strncmp(args[0], "kafka://", 8) == 0)
		options->node.log = args[0];
	else if (strchr(args[0], '/'))
		options->node.store = args[0];
	else
		return refuse_option(
		        why, why_size,
		        "invalid source \"%s\": use keydir, a store's directory, or kafka://...",
		        args[0]);
	return 0;
}

/* Remove the flags that mount(8) passes to its helpers, if this program was called as one. Returns
 * the new number of arguments. */
static int drop_helper_flags(int argc, char **argv)
{
	char name[NAME_MAX + 1];
	int n = 1;

	snprintf(name, sizeof(name), "%s", argv[0] ? argv[0] : "");
	if (strncmp(basename(name), "mount.", 6) != 0)
		return argc;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-n") == 0 || strcmp(argv[i], "-s") == 0 ||
		    strcmp(argv[i], "-v") == 0)
			continue;
		if (strcmp(argv[i], "-t") == 0 || strcmp(argv[i], "-N") == 0) {
			i++;
			continue;
		}
		argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

int fs_options_parse(int argc, char **argv, struct fs_options *ret, char *why, size_t why_size)
{
	int first, r;

	*ret = (struct fs_options){ .uid = UINT64_MAX, .gid = UINT64_MAX };
	/* Undocumented: the Makefile builds the manual with it. */
	if (argc == 2 && strcmp(argv[1], "--man-options") == 0) {
		ret->man = true;
		return 0;
	}
	argc = drop_helper_flags(argc, argv);
	r = options_parse(long_rows, argc, argv, ret, &first, why, why_size);
	if (r < 0 || ret->help || ret->version)
		return r;
	r = set_mount_options(ret, why, why_size);
	if (r == 0)
		r = check_options(ret, why, why_size);
	if (r == 0)
		r = set_operands(ret, argv + first, argc - first, why, why_size);
	if (r < 0) {
		fs_options_close(ret);
		return r;
	}
	ret->node.store = make_absolute(ret->node.store);
	ret->node.peer_access.token_file = make_absolute(ret->node.peer_access.token_file);
	ret->node.peer_access.ca_file = make_absolute(ret->node.peer_access.ca_file);
	ret->log_file = make_absolute(ret->log_file);
	ret->metrics_file = make_absolute(ret->metrics_file);
	return 0;
}

void fs_options_close(struct fs_options *options)
{
	free(options->text);
	options->text = NULL;
}

void fs_options_help(FILE *to)
{
	fputs("Usage: keydir-fs [OPTION...] [SOURCE] MOUNTPOINT\n"
	      "Mounts a Keydir cache: each file is a key, and its content is the value.\n"
	      "SOURCE, as in fstab, is keydir, a store's directory, or kafka://...\n\n",
	      to);
	options_help(long_rows, to);
	fputs("\nMount options (-o):\n", to);
	for (const struct option_row *row = mount_rows; row->name; row++)
		fprintf(to, "  %s%s%-*s %s\n", row->name, row->arg ? "=" : "",
		        (int)(27 - strlen(row->name) - (row->arg ? 1 : 0)),
		        row->arg ? row->arg : "", row->help);
}

void fs_options_man(FILE *to)
{
	options_man(long_rows, to);
	fputs(".Pp\nNames that\n.Fl o\naccepts:\n.Bl -tag -width Ds\n", to);
	for (const struct option_row *row = mount_rows; row->name; row++) {
		if (row->arg)
			fprintf(to, ".It Cm %s Ns = Ns Ar %s\n", row->name, row->arg);
		else
			fprintf(to, ".It Cm %s\n", row->name);
		fprintf(to, "%s.\n", row->help);
	}
	fputs(".El\n", to);
}
