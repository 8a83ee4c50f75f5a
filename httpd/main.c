/* Main: keydir-httpd, a node of Keydir that serves REST.
 *
 * Start: options, log, node, server. Until it serves, a signal to stop ends the program at once
 * (base/early_stop.h). Stop (SIGTERM, SIGINT) in reverse: the server finishes the requests in
 * flight, then the node flushes the log and closes the store. SIGHUP reloads tokens and
 * certificates. Signals are blocked in every thread and this thread waits for them, so no signal
 * handler runs. */
#include "common/base/early_stop.h"
#include "common/base/logger.h"
#include "httpd/server.h"
#include "httpd/settings.h"
#include "httpd/tokens.h"
#include "httpd/watch_hub.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
/* Time for requests in flight to end when stopping. */
#define STOP_GRACE_MS 5000

static int print_usage(void)
{
	printf("usage: keydir-httpd [OPTION]...\n"
	       "Serve the keys of a Keydir node over REST.\n\n");
	options_help(settings_rows, stdout);
	printf("\nEach option can also be set by the environment variable next to it.\n");
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Hash the token on standard input (--hash-token): an argument would show in the list of processes.
 */
static int hash_token(void)
{
	char text[TOKEN_MAX + 2];
	char hash[TOKEN_HASH_SIZE];
	size_t len = fread(text, 1, sizeof(text), stdin);
	if (len && text[len - 1] == '\n')
		len--;
	if (token_hash(text, len, hash)) {
		fprintf(stderr,
		        "keydir-httpd: a token has %d to %d characters of A-Z a-z 0-9 - . _ ~ + / =\n"
		        "and should be random: head -c 24 /dev/urandom | base64\n",
		        TOKEN_MIN, TOKEN_MAX);
		return EXIT_USAGE;
	}
	puts(hash);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void wait_for_end(struct server *server, struct node *node, const sigset_t *signals)
{
	int number = 0;
	while (sigwait(signals, &number) || number == SIGHUP)
		if (number == SIGHUP)
			server_reload(server);
	logger(LOGGER_INFO, "stopping signal=%s", sigabbrev_np(number));
	node_limit_stop(node, NULL, NULL);
}

static void warn_of_plain_tokens(const struct settings *settings)
{
	if (settings->tokens && !settings->tls_cert && !settings_is_loopback(&settings->address))
		logger(LOGGER_WARN,
		       "tokens cross the network unencrypted: set --tls-cert, or listen on "
		       "loopback with a TLS proxy in front");
}

/* Open the node of SETTINGS, with a hub that follows it. Returns 0, or the exit status after
 * logging the error. */
static int open_node(const struct settings *settings, struct watch_hub **ret_hub,
                     struct node **ret_node)
{
	struct node_config config = { 0 };
	struct watch_hub *hub;
	char why[NODE_WHY_MAX] = "out of memory";
	if (node_options_config(&settings->node, &config, why, sizeof(why))) {
		logger(LOGGER_ERROR, "%s", why);
		return EXIT_USAGE;
	}
	if (watch_hub_new(&hub)) {
		logger(LOGGER_ERROR, "cannot open the node: %s", why);
		return EXIT_FAILURE;
	}
	config.follow = watch_hub_follow;
	config.follow_arg = hub;
	if (node_open(&config, ret_node, why, sizeof(why))) {
		logger(LOGGER_ERROR, "cannot open the node: %s", why);
		watch_hub_free(hub);
		return EXIT_FAILURE;
	}
	*ret_hub = hub;
	return 0;
}

static int run_server(const struct settings *settings, const sigset_t *signals)
{
	struct watch_hub *hub;
	struct node *node;
	struct server *server = NULL;
	char why[NODE_WHY_MAX] = "cannot start the thread for watchers";
	char address[80];
	struct early_stop *early;
	if (early_stop_begin(&early)) {
		logger(LOGGER_ERROR, "cannot start a thread");
		return EXIT_FAILURE;
	}
	int status = open_node(settings, &hub, &node);
	early_stop_end(early);
	if (status)
		return status;
	if (watch_hub_start(hub, node) ||
	    server_new(node, hub, settings, &server, why, sizeof(why))) {
		logger(LOGGER_ERROR, "cannot serve: %s", why);
		status = EXIT_FAILURE;
		goto out;
	}
	warn_of_plain_tokens(settings);
	server_address(server, address, sizeof(address));
	logger(LOGGER_INFO, "serving listen=%s store=%s log=%s threads=%llu version=%s", address,
	       store_dir(node_store(node)), settings->node.log,
	       (unsigned long long)settings->threads, KEYDIR_VERSION);
	wait_for_end(server, node, signals);
	server_stop(server, STOP_GRACE_MS);
out:
	node_close(node);
	watch_hub_free(hub);
	server_free(server);
	if (!status)
		logger(LOGGER_INFO, "stopped");
	return status;
}

int main(int argc, char **argv)
{
	struct settings settings;
	enum logger_level level;
	sigset_t signals;
	char why[256] = "";

	if (argc == 2 &&
	    strcmp(argv[1], "--man-options") == 0) { /* Undocumented: prints the options
	                                                       * for the manual page. */
		options_man(settings_rows, stdout);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	if (settings_load(&settings, argc, argv, why, sizeof(why)) ||
	    (!settings.help && !settings.version && !settings.hash_token &&
	     node_options_level(&settings.node, &level, why, sizeof(why)))) {
		fprintf(stderr, "keydir-httpd: %s\n", why);
		return EXIT_USAGE;
	}
	if (settings.help)
		return print_usage();
	if (settings.version) {
		puts("keydir-httpd " KEYDIR_VERSION);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	if (settings.hash_token)
		return hash_token();
	settings.debug = level == LOGGER_DEBUG;
	logger_init("keydir-httpd", level, false);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	return run_server(&settings, &signals);
}
