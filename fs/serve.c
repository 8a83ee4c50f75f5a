/* Serving: one mount from its start to its end.
 *
 * Start: tables and worker, node, session, mount, invalidator, loop.
 *
 * Stop, by a signal:
 * 1. While requests are still served: collect the data written through mappings, then stop the
 *    check, the invalidator and the announcer. They may wait for a lock that the kernel holds until one of
 *    its requests is answered.
 * 2. End the loop, so that no new request arrives.
 * 3. While replies can still be sent: close the open files, wait for events in flight, close
 *    the node.
 * 4. Unmount.
 * Unmounting by hand ends the loop; the rest is the same.
 *
 * Signals are blocked in all threads except one that receives them. Until the node is open, that
 * is a thread which ends the program at once (base/early_stop.h); from the mount on it is
 * wait_for_signal(). */
#include "fs/serve.h"

#include "common/base/clock.h"
#include "common/base/early_stop.h"
#include "common/base/logger.h"
#include "fs/channel.h"
#include "fs/check.h"
#include "fs/dir.h"
#include "fs/fs_ops.h"
#include "fs/guard.h"
#include "fs/handle.h"
#include "fs/metrics_file.h"
#include "fs/mountpoint.h"
#include "fs/remount.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 16
/* Interval at which conditions without a wake-up are checked. */
#define POLL_US 10000
/* Longest wait for the guard at the start. */
#define SETTLE_MS 5000
/* Sent to the thread that runs the loop, to interrupt its wait. */
#define SIGNAL_WAKE SIGUSR1

/* Write "WHAT: errno's text" to WHY. Returns ERR. */
static int explain_error(int err, char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s: %s", what, strerror(-err));
	return err;
}

/* --- parts of the start ---------------------------------------------------- */

static int set_identity(struct mount *m, const struct fs_options *options, char *why,
                        size_t why_size)
{
	m->uid = options->uid == UINT64_MAX ? getuid() : (uid_t)options->uid;
	m->gid = options->gid == UINT64_MAX ? getgid() : (gid_t)options->gid;
	if (options->umask) {
		char *end;
		unsigned long mask = strtoul(options->umask, &end, 8);

		if (*options->umask == '\0' || *end || mask > 0777) {
			snprintf(why, why_size, "-o umask: \"%s\" is not an octal mode mask",
			         options->umask);
			return -EINVAL;
		}
		m->umask = (mode_t)mask;
	}
	return 0;
}

/* Keep the entry INO from being evicted: it is open here. */
static void pin_entry(void *node, uint64_t ino)
{
	node_pin(node, ino);
}

/* Pin all open files: the node's in_use callback. */
static void pin_open_files(void *arg, struct node *node)
{
	struct mount *m = arg;

	files_each_ino(&m->files, pin_entry, node);
}

static int open_node(struct mount *m, const struct fs_options *options, char *why, size_t why_size)
{
	struct node_config config = { 0 };
	int r = node_options_config(&options->node, &config, why, why_size);

	if (r < 0)
		return r;
	config.read_only = options->read_only;
	config.is_mount = m->caching;
	config.place = options->mountpoint;
	config.in_use = pin_open_files;
	config.in_use_arg = m;
	if (m->caching) {
		config.follow = inval_follow;
		config.follow_arg = m->inval;
	}
	r = node_open(&config, &m->node, why, why_size);
	if (r < 0)
		return r;
	m->store = node_store(m->node);
	m->size_bytes = node_get_config(m->node)->size_bytes;
	m->evict = config.evict;
	m->timeout_ms = config.write_timeout_ms;
	return 0;
}

/* Wait until the node is ready, at most the write timeout. If it is not ready by then, the caller
 * mounts it nevertheless, so that a machine can start without its log. Until the log answers, the
 * mount shows the node's store, or reads fail with EIO if the store is empty or too old
 * (node_can_read()). WARNING then says so; otherwise it is "". */
static void wait_until_ready(const struct mount *m, char *warning, size_t size)
{
	int64_t deadline = clock_mono_ms() + m->timeout_ms;
	struct node_status status;

	*warning = '\0';
	for (node_status(m->node, &status); !status.ready; node_status(m->node, &status)) {
		if (clock_mono_ms() > deadline) {
			snprintf(warning, size, "mounted before the node is ready: %.900s%s",
			         status.why,
			         status.behind ? "; until then reads fail with EIO" : "");
			logger(LOGGER_WARN, "%s", warning);
			return;
		}
		usleep(POLL_US);
	}
}

/* Find the directory to mount. Returns 0, or -errno with a sentence in WHY. */
static int find_root(struct mount *m, const char *subdir, char *why, size_t why_size)
{
	struct view view;
	struct entry e;
	size_t len;

	m->root = STORE_ROOT_INO;
	if (!subdir)
		return 0;
	if (!node_can_read(m->node)) {
		snprintf(why, why_size,
		         "-o subdir=%s: cannot look it up before the node is ready; mount again "
		         "when the log answers",
		         subdir);
		return -EAGAIN;
	}
	while (*subdir == '/')
		subdir++;
	len = strlen(subdir);
	while (len && subdir[len - 1] == '/')
		len--;
	int r = view_open(m->store, &view);
	if (r < 0)
		return explain_error(r, why, why_size, "cannot read the store");
	r = view_key(&view, subdir, len, &e);
	if (r == 0 && !entry_is_dir(&e))
		r = -ENOTDIR;
	if (r == 0)
		m->root = e.ino;
	view_close(&view);
	if (r < 0)
		snprintf(why, why_size, "-o subdir=%s: %s", subdir,
		         r == -ENOENT ? "there is no such directory in the cache; create it first" :
		                        strerror(-r));
	return r;
}

static void log_fuse(enum fuse_log_level level, const char *fmt, va_list args)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line), fmt, args);

	if (n > 0 && (size_t)n < sizeof(line) && line[n - 1] == '\n')
		line[n - 1] = '\0';
	logger(level <= FUSE_LOG_ERR     ? LOGGER_ERROR :
	       level == FUSE_LOG_WARNING ? LOGGER_WARN :
	                                   LOGGER_DEBUG,
	       "libfuse: %s", line);
}

static int new_session(struct mount *m, const struct fs_options *options, char *why,
                       size_t why_size)
{
	const char *source = options->source && !strchr(options->source, ',') ? options->source :
	                                                                        "keydir";
	char list[FS_PASS_MAX + 256];
	char program[] = "keydir-fs", o[] = "-o";
	char *argv[] = { program, o, list, NULL };
	struct fuse_args args = { .argc = 3, .argv = argv };
	bool named = strstr(options->pass, ",fsname=");

	int n = snprintf(list, sizeof(list), "default_permissions,subtype=keydir%s%s%s%s%s",
	                 options->read_only ? ",ro" : "",
	                 options->allow_other ? ",allow_other" : "",
	                 named ? "" : ",fsname=", named ? "" : source, options->pass);
	if (n < 0 || (size_t)n >= sizeof(list)) {
		snprintf(why, why_size, "the mount options are longer than %zu bytes; shorten them",
		         sizeof(list) - 1);
		return -EINVAL;
	}
	fuse_set_log_func(log_fuse);
	m->session = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), m);
	fuse_opt_free_args(&args);
	if (!m->session) {
		snprintf(why, why_size,
		         "libfuse rejects the mount options \"%s\"; its message is in the log",
		         list);
		return -EINVAL;
	}
	return 0;
}

/* --- stopping -------------------------------------------------------------- */

/* The thread that receives the signals. */
struct stopper {
	struct mount *mount;
	pthread_t thread;
	pthread_t loop;
	sigset_t signals;
	atomic_bool ended; /* the loop has returned */
};

static void ignore_signal(int number)
{
	(void)number;
}

/* Unmount when the process has to end without its loop, so that it leaves no dead mount. */
static void unmount_lazily(void *arg)
{
	const struct mount *m = arg;

	fuse_session_unmount(m->session);
}

static void *wait_for_signal(void *arg)
{
	struct stopper *s = arg;
	int number = 0;

	while (sigwait(&s->signals, &number) != 0)
		;
	/* The kernel may keep pages locked for a write that waits for the log. */
	gate_stop(&s->mount->gate);
	if (!atomic_load_explicit(&s->ended, memory_order_acquire)) {
		logger(LOGGER_INFO, "stopping signal=%s", sigabbrev_np(number));
		handle_collect_mapped(s->mount);
	}
	node_limit_stop(s->mount->node, unmount_lazily, s->mount);
	check_stop(s->mount->check);
	inval_stop(s->mount->inval);
	announcer_stop(s->mount->announcer);
	fuse_session_exit(s->mount->session);
	while (!atomic_load_explicit(&s->ended, memory_order_acquire)) {
		pthread_kill(s->loop, SIGNAL_WAKE);
		usleep(POLL_US);
	}
	return NULL;
}

static void block_signals(sigset_t *signals)
{
	struct sigaction action = { .sa_handler = ignore_signal };

	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	sigaction(SIGNAL_WAKE, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

/* Wait for events in flight, at most the write timeout. */
static void wait_for_ops(struct mount *m)
{
	int64_t deadline = clock_mono_ms() + m->timeout_ms;

	while (atomic_load_explicit(&m->nops, memory_order_acquire) || !worker_idle(m->worker)) {
		if (clock_mono_ms() > deadline) {
			logger(LOGGER_ERROR,
			       "stopped while changes were in flight; they may be lost events=%u",
			       atomic_load_explicit(&m->nops, memory_order_acquire));
			return;
		}
		usleep(1000);
	}
}

/* --- serving --------------------------------------------------------------- */

static int run_loop(struct mount *m)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();

	if (!config)
		return -ENOMEM;
	/* Each thread gets its own queue of requests, if this user may open /dev/fuse: users who
	 * mount through fusermount3 may not. */
	fuse_loop_cfg_set_clone_fd(config, access("/dev/fuse", R_OK | W_OK) == 0);
	fuse_loop_cfg_set_max_threads(config, MAX_THREADS);
	fuse_loop_cfg_set_idle_threads(config, MAX_THREADS);
	int r = channel_open(m);
	if (r == 0)
		r = fuse_session_loop_mt(m->session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

/* The thread that reports when the mount is ready. */
struct starter {
	pthread_t thread;
	pid_t guard; /* of guard_start() */
	int settled; /* likewise */
	const char *warning;
	serve_ready *ready;
	void *arg;
};

static void *wait_for_guard(void *arg)
{
	struct starter *s = arg;
	struct pollfd guard = { .fd = s->settled, .events = POLLIN };

	if (s->settled >= 0) {
		if (poll(&guard, 1, SETTLE_MS) == 0)
			logger(LOGGER_INFO, "the mount has not answered its guard in %d s",
			       SETTLE_MS / 1000);
		close(s->settled);
	}
	s->ready(s->arg, s->warning);
	return NULL;
}

/* Serve requests from the mount's start until its end. Returns 0, or -errno with a sentence in WHY
 * if a thread could not be started. */
static int serve_until_unmounted(struct mount *m, struct starter *starter, char *why,
                                 size_t why_size)
{
	struct stopper stopper = { .mount = m, .loop = pthread_self() };
	int r = m->inval ? inval_start(m->inval) : 0;

	if (r < 0)
		return explain_error(r, why, why_size, "cannot start a thread");
	sigemptyset(&stopper.signals);
	sigaddset(&stopper.signals, SIGTERM);
	sigaddset(&stopper.signals, SIGINT);
	r = -pthread_create(&stopper.thread, NULL, wait_for_signal, &stopper);
	if (r < 0) {
		check_stop(m->check);
		inval_stop(m->inval);
		announcer_stop(m->announcer);
		return explain_error(r, why, why_size, "cannot start a thread");
	}
	bool has_starter = pthread_create(&starter->thread, NULL, wait_for_guard, starter) == 0;
	if (!has_starter)
		wait_for_guard(starter);
	r = run_loop(m);
	if (r < 0)
		logger(LOGGER_ERROR, "the session ended why=\"%s\"", strerror(-r));
	atomic_store_explicit(&stopper.ended, true, memory_order_release);
	pthread_kill(stopper.thread, SIGINT);
	pthread_join(stopper.thread, NULL);
	/* No thread answers the guard's requests any more, so the starter must not wait for it. The
	 * guard is not needed after the invalidator has ended. */
	guard_stop(starter->guard);
	starter->guard = 0;
	if (has_starter)
		pthread_join(starter->thread, NULL);
	handle_close_all(m);
	wait_for_ops(m);
	/* A creation that was in flight may have opened its new file. */
	handle_close_all(m);
	dir_close_all(m);
	return 0;
}

static void start_check(struct mount *m, const struct fs_options *options)
{
	unsigned connection = mountpoint_connection(options->mountpoint);
	int r = check_start(m, (unsigned)options->check_rate, connection, options->mountpoint,
	                    &m->check);

	if (r < 0)
		logger(LOGGER_WARN, "what the kernel caches is not checked why=\"%s\"",
		       strerror(-r));
}

static int start_announcer(struct mount *m, const char *dir, char *why, size_t why_size)
{
	unsigned connection = mountpoint_connection(dir);
	int r = connection ? announcer_start(m, connection, dir, &m->announcer) : -ENOENT;

	return r < 0 ? explain_error(r, why, why_size, "-o inotify") : 0;
}

static int mount_and_run(struct mount *m, const struct fs_options *options, const char *warning,
                         serve_ready *ready, void *arg, char *why, size_t why_size)
{
	int r = mountpoint_check(options->mountpoint, why, why_size);

	if (r == 0)
		r = find_root(m, options->subdir, why, why_size);
	if (r == 0)
		r = new_session(m, options, why, why_size);
	if (r < 0)
		return r;
	if (fuse_session_mount(m->session, options->mountpoint) < 0) {
		snprintf(why, why_size, "cannot mount at %s%s", options->mountpoint,
		         options->allow_other && geteuid() != 0 ?
		                 "; allow_other needs user_allow_other in /etc/fuse.conf" :
		                 "; check that this user may write to it and open /dev/fuse");
		return -EIO;
	}
	logger(LOGGER_INFO, "mounted mountpoint=%s store=%s log=%s version=%s", options->mountpoint,
	       store_dir(m->store), node_get_config(m->node)->log, KEYDIR_VERSION);
	struct starter starter = { .warning = warning, .ready = ready, .arg = arg };
	starter.guard = guard_start(options->mountpoint, &starter.settled);
	if (options->no_symlinks) {
		r = remount_no_symlinks(options->mountpoint);
		if (r < 0)
			explain_error(r, why, why_size, "-o nosymfollow");
	}
	if (r == 0 && options->inotify)
		r = start_announcer(m, options->mountpoint, why, why_size);
	if (r == 0 && m->caching && options->check_rate)
		start_check(m, options);
	if (r == 0)
		r = serve_until_unmounted(m, &starter, why, why_size);
	guard_stop(starter.guard);
	return r;
}

int fs_serve(const struct fs_options *options, serve_ready *ready, void *arg, char *why,
             size_t why_size)
{
	struct mount m = {
		.read_only = options->read_only,
		.caching = !options->no_cache,
		.async = options->async_close,
	};
	struct early_stop *early;
	char warning[NODE_WHY_MAX];
	sigset_t signals;
	int r;

	block_signals(&signals);
	r = set_identity(&m, options, why, why_size);
	if (r < 0)
		return r;
	pthread_mutex_init(&m.open.lock, NULL);
	pending_init(&m.pending);
	lookup_cache_init(&m.lookup_cache);
	spin_init(&m.spin, options->spin_us);
	r = gate_init(&m.gate, &m);
	if (r == 0)
		r = files_init(&m.files);
	if (r < 0)
		return explain_error(r, why, why_size, "cannot start");
	r = worker_start(&m.worker);
	if (r < 0) {
		explain_error(r, why, why_size, "cannot start a thread");
		goto close_files;
	}
	if (m.caching) {
		r = inval_new(&m, &m.inval);
		if (r < 0) {
			explain_error(r, why, why_size, "cannot start");
			goto stop_worker;
		}
	}
	r = early_stop_begin(&early);
	if (r < 0) {
		explain_error(r, why, why_size, "cannot start a thread");
		goto free_inval;
	}
	r = open_node(&m, options, why, why_size);
	if (r == 0)
		wait_until_ready(&m, warning, sizeof(warning));
	early_stop_end(early);
	if (r < 0)
		goto free_inval;
	struct metrics_file *metrics = NULL;
	if (options->metrics_file) {
		r = metrics_file_start(m.node, options->metrics_file, &metrics);
		if (r < 0)
			snprintf(why, why_size, "--metrics-file %s: %s", options->metrics_file,
			         strerror(-r));
	}
	if (r == 0)
		r = mount_and_run(&m, options, warning, ready, arg, why, why_size);
	metrics_file_stop(metrics);
	worker_stop(m.worker);
	m.worker = NULL;
	node_close(m.node);
	if (m.session) {
		fuse_session_unmount(m.session);
		fuse_session_destroy(m.session);
	}
	announcer_free(m.announcer);
	check_free(m.check);
	if (r == 0)
		logger(LOGGER_INFO, "unmounted mountpoint=%s", options->mountpoint);
free_inval:
	inval_free(m.inval);
stop_worker:
	worker_stop(m.worker);
close_files:
	files_close(&m.files);
	return r;
}
