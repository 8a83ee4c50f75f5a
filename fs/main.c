/* keydir-fs: a Keydir node that is mounted as a file system.
 *
 * A daemon forks before it opens anything, because neither the store nor threads survive a fork.
 * The parent reads the child's report, READY or an error message, from a pipe, and exits with the
 * matching status. No lock. */
#include "common/base/logger.h"
#include "common/node/node.h"
#include "fs/announce.h"
#include "fs/fs_options.h"
#include "fs/guard.h"
#include "fs/probe.h"
#include "fs/remount.h"
#include "fs/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define WHY_MAX NODE_WHY_MAX
#define READY '\n' /* last byte of the child's report if it is ready, after an optional warning */

/* Standard error of the caller, for errors after the log has replaced it. */
static int first_stderr = STDERR_FILENO;

/* Redirect standard error, where the logger writes, to the end of the file PATH. Returns 0, or -EIO
 * with a sentence in WHY. */
static int open_log_file(const char *path, char *why, size_t why_size)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (kept >= 0)
		first_stderr = kept;
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	close(fd);
	return 0;
}

static void ready_in_foreground(void *arg, const char *warning)
{
	(void)arg, (void)warning; /* The warning is in the log. */
}

static int run_in_foreground(const struct fs_options *options)
{
	char why[WHY_MAX] = "";

	if (fs_serve(options, ready_in_foreground, NULL, why, sizeof(why)) == 0)
		return EXIT_SUCCESS;
	logger(LOGGER_ERROR, "%s", why);
	if (first_stderr != STDERR_FILENO)
		dprintf(first_stderr, "keydir-fs: %s\n", why);
	return EXIT_FAILURE;
}

/* --- daemon ---------------------------------------------------------------- */

/* What the child needs to report to its parent. */
struct child {
	int to_parent;
	bool keep_stderr; /* standard error is the log */
};

/* Send LEN bytes of the report to the parent. */
static void report_to_parent(const struct child *child, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(child->to_parent, text, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* Report READY, after WARNING (may be empty), and detach from the terminal and the parent. */
static void ready_in_background(void *arg, const char *warning)
{
	struct child *child = arg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char word = READY;

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (!child->keep_stderr)
			dup2(null, STDERR_FILENO);
		close(null);
	}
	report_to_parent(child, warning, strlen(warning));
	report_to_parent(child, &word, 1);
	close(child->to_parent);
	child->to_parent = -1;
}

/* Close all inherited descriptors except standard input, output and error, and *FD, which gets
 * another number: otherwise the caller's locks would stay held, and the readers of its pipes would
 * wait, until the daemon ends (daemon(7)). Returns 0 or -errno. */
static int close_inherited(int *fd)
{
	const int kept = STDERR_FILENO + 1;

	if (*fd != kept && dup3(*fd, kept, O_CLOEXEC) < 0)
		return -errno;
	*fd = kept;
	return close_range((unsigned)kept + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int run_child(const struct fs_options *options, int to_parent)
{
	struct child child = { .to_parent = to_parent, .keep_stderr = options->log_file };
	char why[WHY_MAX] = "";
	int r = close_inherited(&child.to_parent);

	if (r < 0)
		logger(LOGGER_WARN, "cannot close inherited descriptors why=\"%s\"", strerror(-r));
	setsid();
	if (chdir("/") < 0)
		logger(LOGGER_WARN, "cannot change to / why=\"%s\"", strerror(errno));
	if (fs_serve(options, ready_in_background, &child, why, sizeof(why)) == 0)
		return EXIT_SUCCESS;
	report_to_parent(&child, why, strlen(why));
	return EXIT_FAILURE;
}

/* Wait for the child's report, and pass on its warning or error. Returns the exit status. */
static int wait_for_child(pid_t pid, int from_child)
{
	char text[WHY_MAX];
	size_t len = 0;
	int status;

	while (len < sizeof(text)) {
		ssize_t n = read(from_child, text + len, sizeof(text) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (text[len - 1] == READY) {
			if (len > 1)
				dprintf(first_stderr, "keydir-fs: %.*s", (int)len, text);
			return EXIT_SUCCESS;
		}
	}
	waitpid(pid, &status, 0);
	if (len)
		dprintf(first_stderr, "keydir-fs: %.*s\n", (int)len, text);
	else
		dprintf(first_stderr, "keydir-fs: exited before it was ready; see the log\n");
	return EXIT_FAILURE;
}

static int run_in_background(const struct fs_options *options)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0) {
		fprintf(stderr, "keydir-fs: pipe: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	pid_t pid = fork();
	if (pid < 0) {
		fprintf(stderr, "keydir-fs: fork: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (pid == 0) {
		close(fds[0]);
		return run_child(options, fds[1]);
	}
	close(fds[1]);
	return wait_for_child(pid, fds[0]);
}

int main(int argc, char **argv)
{
	struct fs_options options;
	enum logger_level level;
	char why[WHY_MAX] = "";
	int status;

	if (guard_wanted(argc, argv))
		return guard_main(argv);
	if (probe_wanted(argc, argv))
		return probe_main(argv);
	if (announcer_wanted(argc, argv))
		return announcer_main(argv);
	if (fs_options_parse(argc, argv, &options, why, sizeof(why)) < 0) {
		fprintf(stderr, "keydir-fs: %s\n", why);
		return EXIT_USAGE;
	}
	if (options.man || options.help || options.version) {
		if (options.man)
			fs_options_man(stdout);
		else if (options.help)
			fs_options_help(stdout);
		else
			puts("keydir-fs " KEYDIR_VERSION);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	if (options.remount) {
		status = remount(&options, why, sizeof(why)) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
		if (status != EXIT_SUCCESS)
			fprintf(stderr, "keydir-fs: %s\n", why);
		fs_options_close(&options);
		return status;
	}
	if (node_options_level(&options.node, &level, why, sizeof(why)) < 0 ||
	    (options.log_file && open_log_file(options.log_file, why, sizeof(why)) < 0)) {
		fprintf(stderr, "keydir-fs: %s\n", why);
		fs_options_close(&options);
		return EXIT_USAGE;
	}
	logger_init("keydir-fs", level, !options.foreground && !options.log_file);
	status = options.foreground ? run_in_foreground(&options) : run_in_background(&options);
	fs_options_close(&options);
	return status;
}
