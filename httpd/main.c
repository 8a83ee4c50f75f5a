/* keydir-httpd: a node of Keydir that serves REST.
 *
 * Start: options, log, node, server. Stop (SIGTERM, SIGINT) in reverse: the
 * server finishes what is under way, then the node flushes the log and closes
 * the store. Signals are blocked in every thread and taken by this one, so no
 * handler ever runs. */
#include "common/logger.h"
#include "httpd/server.h"
#include "httpd/settings.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
/* How long requests under way may take when stopping. */
#define STOP_GRACE_MS 5000

static int usage(void)
{
	printf("usage: keydir-httpd [OPTION]...\n"
	       "Serve the keys of a Keydir node over REST.\n\n");
	options_help(settings_rows, stdout);
	printf("\nEach option can also be set by the environment variable named beside it.\n");
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void wait_for_end(const sigset_t *signals)
{
	int number;
	while (sigwait(signals, &number))
		;
	logger(LOGGER_INFO, "stopping signal=%s", sigabbrev_np(number));
}

static int serve(const struct settings *settings, const sigset_t *signals)
{
	struct node_config config = { 0 };
	struct node *node;
	struct server *server;
	char why[256] = "";
	char address[80];
	if (node_options_config(&settings->node, &config, why, sizeof(why))) {
		logger(LOGGER_ERROR, "%s", why);
		return EXIT_USAGE;
	}
	if (node_open(&config, &node, why, sizeof(why))) {
		logger(LOGGER_ERROR, "cannot open the node: %s", why);
		return EXIT_FAILURE;
	}
	if (server_new(node, settings, &server, why, sizeof(why))) {
		logger(LOGGER_ERROR, "cannot serve: %s", why);
		node_close(node);
		return EXIT_FAILURE;
	}
	server_address(server, address, sizeof(address));
	logger(LOGGER_INFO, "serving listen=%s store=%s log=%s threads=%llu version=%s", address,
	       config.store.dir, config.log, (unsigned long long)settings->threads, KEYDIR_VERSION);
	wait_for_end(signals);
	server_stop(server, STOP_GRACE_MS);
	node_close(node);
	server_free(server);
	logger(LOGGER_INFO, "stopped");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct settings settings;
	enum logger_level level;
	sigset_t signals;
	char why[256] = "";

	if (argc == 2 && !strcmp(argv[1], "--man-options")) { /* for building the man page */
		options_man(settings_rows, stdout);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	if (settings_load(&settings, argc, argv, why, sizeof(why)) ||
	    (!settings.help && !settings.version &&
	     node_options_level(&settings.node, &level, why, sizeof(why)))) {
		fprintf(stderr, "keydir-httpd: %s\n", why);
		return EXIT_USAGE;
	}
	if (settings.help)
		return usage();
	if (settings.version) {
		puts("keydir-httpd " KEYDIR_VERSION);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	settings.debug = level == LOGGER_DEBUG;
	logger_init("keydir-httpd", level, false);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	return serve(&settings, &signals);
}
