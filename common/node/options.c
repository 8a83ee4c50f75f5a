/* Options of the node: from the fields of the option table to a node_config.
 *
 * Both programs include the same rows in their tables, so that a mount and a REST server that share
 * a store take the same options. Constraints that the types of the table cannot express (a choice,
 * a range, the form of an address) are checked here, before anything is opened, and the error
 * message names the option. No state, no lock. */
#include "common/node/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Far below the maximum of librdkafka's message.timeout.ms, an int (CONFIGURATION.md). */
#define WRITE_TIMEOUT_MAX_MS 86400000

static int refuse_option(char *why, size_t why_size, const char *option, const char *value,
                         const char *wants)
{
	if (why)
		snprintf(why, why_size, "--%s: \"%s\" is not %s", option, value ? value : "",
		         wants);
	return -EINVAL;
}

static int refuse_number(char *why, size_t why_size, const char *option, int64_t value,
                         const char *wants)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return refuse_option(why, why_size, option, text, wants);
}

/* Return whether TEXT is "kafka://hosts/topic" with neither part empty. */
static bool is_kafka_address(const char *text)
{
	const char prefix[] = "kafka://";

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return false;
	const char *hosts = text + sizeof(prefix) - 1;
	const char *slash = strchr(hosts, '/');
	return slash && slash > hosts && slash[1] != '\0' && !strchr(slash + 1, '/');
}

int node_options_config(const struct node_options *options, struct node_config *config, char *why,
                        size_t why_size)
{
	const char *log = options->log ? options->log : "";
	bool local = strcmp(log, "local") == 0;

	if (options->store && !options->store[0])
		return refuse_option(why, why_size, "store", "", "a directory");
	if (!local && !is_kafka_address(log))
		return refuse_option(why, why_size, "log", log,
		                     "local or kafka://HOST:PORT,.../TOPIC");

	enum store_sync sync;
	if (options->sync && strcmp(options->sync, "auto") == 0)
		sync = STORE_SYNC_AUTO;
	else if (options->sync && strcmp(options->sync, "off") == 0)
		sync = STORE_SYNC_OFF;
	else
		return refuse_option(why, why_size, "sync", options->sync, "auto or off");

	enum evict_policy evict;
	if (!options->evict || evict_policy_parse(options->evict, &evict) < 0)
		return refuse_option(why, why_size, "evict", options->evict, "none, ttl or lru");

	if (options->max_value == 0 || options->max_value > EVENT_VALUE_MAX)
		return refuse_number(why, why_size, "max-value", (int64_t)options->max_value,
		                     "from 1 byte to 1G");
	if (options->write_timeout_ms <= 0 || options->write_timeout_ms > WRITE_TIMEOUT_MAX_MS)
		return refuse_number(why, why_size, "write-timeout", options->write_timeout_ms,
		                     "from 1 ms to 1d");
	for (size_t i = 0; i < options->settings.n; i++) {
		const char *eq = strchr(options->settings.items[i], '=');

		if (!eq || eq == options->settings.items[i])
			return refuse_option(why, why_size, "log-setting",
			                     options->settings.items[i], "NAME=VALUE");
	}

	if (options->skip_record && local)
		return refuse_number(why, why_size, "skip-record", (int64_t)options->skip_record,
		                     "possible with --log local");

	int r = peer_access_check(&options->peer_access, why, why_size);
	if (r < 0)
		return r;

	config->store.dir = options->store ? options->store : store_place_default();
	config->store.sync = sync;
	config->store.logged = !local;
	config->log = log;
	config->log_settings = options->settings.items;
	config->nlog_settings = options->settings.n;
	config->peers = options->peers;
	config->peer_access = options->peer_access;
	config->size_bytes = options->size_bytes;
	config->evict = evict;
	config->max_value = options->max_value;
	config->write_timeout_ms = options->write_timeout_ms;
	config->skip_record = options->skip_record;
	return 0;
}

int node_options_level(const struct node_options *options, enum logger_level *ret, char *why,
                       size_t why_size)
{
	static const struct {
		const char *text;
		enum logger_level level;
	} levels[] = {
		{ "error", LOGGER_ERROR },
		{ "warn", LOGGER_WARN },
		{ "info", LOGGER_INFO },
		{ "debug", LOGGER_DEBUG },
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (options->log_level && strcmp(options->log_level, levels[i].text) == 0) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return refuse_option(why, why_size, "log-level", options->log_level,
	                     "error, warn, info or debug");
}
