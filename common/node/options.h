/* Options of the node, the same in every program that opens one. */
#ifndef KEYDIR_NODE_OPTIONS_H
#define KEYDIR_NODE_OPTIONS_H

#include "common/base/logger.h"
#include "common/base/options.h"
#include "common/node/node.h"

/* The fields that the rows below set; part of a program's own struct. The texts are borrowed from
 * argv or the environment. */
struct node_options {
	const char *store; /* NULL: store_place_default() */
	const char *log;
	uint64_t size_bytes;
	uint64_t max_value;
	int64_t write_timeout_ms;
	const char *evict; /* see EVICT_POLICIES */
	const char *sync;  /* "auto" or "off" */
	const char *peers; /* NULL: none */
	struct peer_access peer_access;
	struct option_list settings; /* NAME=VALUE of librdkafka */
	uint64_t skip_record;        /* 0: none */
	const char *log_level;
};

/* Rows of struct option_row for a program's table, where the struct node_options is MEMBER of
 * STRUCT_TYPE. */
/* clang-format off */
#define NODE_OPTION_ROWS(STRUCT_TYPE, MEMBER)                                                      \
	{ "store", 's', "KEYDIR_STORE", OPTION_TEXT, "DIR", NULL,                                  \
	  "directory of the store, which processes of one node share; without it "                 \
	  "/dev/shm/keydir for root, /dev/shm/keydir-UID for others",                              \
	  offsetof(STRUCT_TYPE, MEMBER.store) },                                                   \
	{ "log", 'l', "KEYDIR_LOG", OPTION_TEXT, "LOG", "local",                                   \
	  "the commit log: local, or kafka://HOST:PORT,.../TOPIC",                                 \
	  offsetof(STRUCT_TYPE, MEMBER.log) },                                                     \
	{ "size", 0, "KEYDIR_SIZE", OPTION_BYTES, "BYTES", "256M",                                 \
	  "quota: writes that would exceed it are refused, or evict other keys",                   \
	  offsetof(STRUCT_TYPE, MEMBER.size_bytes) },                                              \
	{ "evict", 0, "KEYDIR_EVICT", OPTION_TEXT, "POLICY", "none",                               \
	  "which keys a full cache evicts: none, ttl (those that expire soonest) or lru (the least " \
	  "recently used)",                                                                        \
	  offsetof(STRUCT_TYPE, MEMBER.evict) },                                                   \
	{ "max-value", 0, "KEYDIR_MAX_VALUE", OPTION_BYTES, "BYTES", "16M",                        \
	  "limit of one value", offsetof(STRUCT_TYPE, MEMBER.max_value) },                         \
	{ "write-timeout", 0, "KEYDIR_WRITE_TIMEOUT", OPTION_DURATION, "TIME", "10s",              \
	  "how long a write waits for a log that does not answer, at most 1d",                     \
	  offsetof(STRUCT_TYPE, MEMBER.write_timeout_ms) },                                        \
	{ "sync", 0, "KEYDIR_SYNC", OPTION_TEXT, "WHEN", "auto",                                   \
	  "when a store on a disk is synced: auto (each commit, if the log is local) or off",      \
	  offsetof(STRUCT_TYPE, MEMBER.sync) },                                                    \
	{ "peers", 0, "KEYDIR_PEERS", OPTION_TEXT, "URL,...", NULL,                                \
	  "nodes to take a snapshot from when the store is new; dns+URL: one at each address",     \
	  offsetof(STRUCT_TYPE, MEMBER.peers) },                                                   \
	{ "peer-token", 0, "KEYDIR_PEER_TOKEN", OPTION_TEXT, "TOKEN", NULL,                        \
	  "bearer token for the peers; on a command line every user of the machine can see it",    \
	  offsetof(STRUCT_TYPE, MEMBER.peer_access.token) },                                       \
	{ "peer-token-file", 0, "KEYDIR_PEER_TOKEN_FILE", OPTION_TEXT, "FILE", NULL,               \
	  "file whose first line is the bearer token for the peers; read for each request",        \
	  offsetof(STRUCT_TYPE, MEMBER.peer_access.token_file) },                                  \
	{ "peer-ca", 0, "KEYDIR_PEER_CA", OPTION_TEXT, "FILE", NULL,                               \
	  "certificates (PEM) that may sign those of peers; without it the system's",              \
	  offsetof(STRUCT_TYPE, MEMBER.peer_access.ca_file) },                                     \
	{ "log-setting", 'X', NULL, OPTION_LIST, "NAME=VALUE", NULL,                               \
	  "a setting of librdkafka, passed on as it is",                                           \
	  offsetof(STRUCT_TYPE, MEMBER.settings) },                                                \
	{ "skip-record", 0, NULL, OPTION_COUNT, "OFFSET", NULL,                                    \
	  "if this node is stopped at this record of the log, which it does not know, make all "   \
	  "nodes skip it",                                                                \
	  offsetof(STRUCT_TYPE, MEMBER.skip_record) },                                             \
	{ "log-level", 0, "KEYDIR_LOG_LEVEL", OPTION_TEXT, "LEVEL", "info",                        \
	  "least level logged: error, warn, info or debug",                                        \
	  offsetof(STRUCT_TYPE, MEMBER.log_level) }
/* clang-format on */

/* Check OPTIONS and fill the fields of CONFIG that come from them; leave the others (read_only,
 * is_mount, follow ...) unchanged. CONFIG borrows from OPTIONS, which must outlive it. Returns 0,
 * or -EINVAL with a sentence in WHY that names the option. */
int node_options_config(const struct node_options *options, struct node_config *config, char *why,
                        size_t why_size);

/* Return in *RET the level that --log-level names. Returns 0, or -EINVAL with a sentence in WHY. */
int node_options_level(const struct node_options *options, enum logger_level *ret, char *why,
                       size_t why_size);

#endif
