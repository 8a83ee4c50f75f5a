/* Watch: GET /v1/watch, changes as they happen, as server-sent events.
 *
 * A stream copies the text of changes below its prefix from the change ring, from its own place on,
 * straight into libmicrohttpd's buffer. At the end it is suspended, and the hub (watch_hub.h) wakes
 * it. Changes that the ring no longer has, or does not have yet, it reads from the feed of the
 * store and formats itself, in pieces of bounded length. A client that reads slowly falls back to
 * the feed; one whose place the feed has dropped gets an event "gone" and the end of the stream.
 *
 * An event of the log can change several entries. Each change becomes a message. The id of the last
 * one is the event's offset with the volume's tag; the ids before it end in ".INDEX". So a client
 * that comes back with Last-Event-ID continues right after that message, on any node, because the
 * feed is the same on all of them; and a client with an id of another volume (after a reboot that
 * emptied the store) gets an error.
 *
 * All steps run on the connection's MHD thread, except stream_wake(), which the hub calls and which
 * only resumes. */
#include "httpd/handlers.h"

#include "common/base/clock.h"
#include "common/base/key.h"
#include "common/base/ttl.h"
#include "httpd/access.h"
#include "httpd/change_text.h"
#include "httpd/key_wait.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/watch_hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 256          /* feed rows read from one snapshot */
#define TEXT_ENOUGH 16384 /* bytes to format before they are sent */
#define BLOCK_BYTES 1024  /* MHD's own buffer for each stream; it copies in pieces */
#define RETRY_MS 1000     /* sent to the client: reconnect after this time */

struct stream {
	struct watch watch;
	struct request *rq; /* lives as long as the response */
	struct change_place next;
	bool ended;            /* `text` is the end of the stream */
	int64_t heartbeat_ms;  /* when the next is due (monotonic) */
	int64_t until_ms;      /* ?wait=: when it ends (monotonic); 0: never */
	uint64_t last;         /* then it ends after this offset; 0: not known yet */
	struct json_text text; /* formatted, not sent yet */
	size_t sent;           /* bytes of it that were sent */
	size_t prefix_len;
	char prefix[];
};

enum fill {
	FILL_SOME,   /* there is text, or more to read */
	FILL_END,    /* everything was read */
	FILL_LOST,   /* the feed does not reach back to our place */
	FILL_BUSY,   /* the memory for answers is used up */
	FILL_FAILED, /* out of memory, or a damaged store */
};

/* --- format ---------------------------------------------------------------- */

static void put_number(struct stream *s, const char *before, uint64_t n)
{
	json_text_raw(&s->text, before);
	json_text_u64(&s->text, n);
}

/* Format one message for each change of EV from s->next on that concerns the prefix, until
 * there is enough text. Moves s->next past them. */
static int format_event(struct stream *s, const struct feed_event *ev, const struct view *view)
{
	uint64_t value_max = node_get_config(s->rq->server->node)->max_value;
	struct volume_tag tag;
	view_tag(view, &tag);
	size_t first = ev->offset == s->next.offset ? s->next.index : 0;
	size_t last = ev->neffects;
	for (size_t i = first; i < ev->neffects; i++)
		if (change_concerns(ev, i, s->prefix, s->prefix_len))
			last = i;
	for (size_t i = first; last < ev->neffects && i <= last; i++) {
		if (!change_concerns(ev, i, s->prefix, s->prefix_len))
			continue;
		put_number(s, "id: ", ev->offset);
		json_text_raw(&s->text, tag.text);
		if (i != last)
			put_number(s, ".", i);
		bool with_value = s->watch.kind == CHANGE_VALUES &&
		                  ev->effects[i].size <= value_max;
		int r = change_message(ev, i, with_value ? view : NULL, &s->text);
		if (r)
			return r;
		if (i != last && s->text.len >= TEXT_ENOUGH) {
			s->next = (struct change_place){ .offset = ev->offset, .index = i + 1 };
			return 0;
		}
	}
	s->next = (struct change_place){ .offset = ev->offset + 1 };
	return s->text.failed;
}

/* Read rows from s->next on until there is enough text, or no more rows. */
static enum fill fill_from(struct stream *s, const struct view *view)
{
	struct bytes row;
	uint64_t found, first;
	int n = 0;
	if (!store_feed_first(view->txn, &first) && s->next.offset < first)
		return FILL_LOST;
	for (; n < ROWS && s->text.len < TEXT_ENOUGH; n++) {
		struct feed_event *ev;
		if (store_feed_next(view->txn, s->next.offset, &found, &row))
			break;
		int r = feed_decode(found, row, &ev);
		if (r)
			return FILL_FAILED;
		r = format_event(s, ev, view);
		free(ev);
		if (r)
			return r == -EBUSY ? FILL_BUSY : FILL_FAILED;
	}
	if (n)
		return FILL_SOME;
	if (s->next.offset <= view_offset(view) && txn_meta(view->txn)->started)
		s->next = (struct change_place){ .offset = view_offset(view) + 1 };
	return FILL_END;
}

static enum fill read_rows(struct stream *s)
{
	struct view view;
	int r = view_open(node_store(s->rq->server->node), &view);
	if (r)
		return FILL_FAILED;
	enum fill how = fill_from(s, &view);
	view_close(&view);
	return how;
}

/* --- send ------------------------------------------------------------------ */

/* Format the last message, which states why the stream ends. Drops text that failed. */
static void end_with(struct stream *s, const char *event, const char *detail)
{
	if (s->text.failed)
		json_text_clear(&s->text);
	json_text_raw(&s->text, "event: ");
	json_text_raw(&s->text, event);
	json_text_raw(&s->text, "\ndata: {\"detail\":\"");
	json_text_raw(&s->text, detail);
	json_text_raw(&s->text, "\"}\n\n");
	s->ended = true;
}

/* Send a heartbeat, with an id that moves the client's last id forward: without changes below
 * its prefix it would become too old for the feed. */
static void format_heartbeat(struct stream *s)
{
	/* The token may have lost its rights since the request. */
	if (!access_holds(s->rq, TOKEN_READ, s->prefix, s->prefix_len)) {
		end_with(s, "denied", "The token may no longer read this.");
		return;
	}
	if (s->next.offset && !s->next.index) {
		struct volume_tag tag;
		server_volume_tag(s->rq->server, &tag);
		put_number(s, "id: ", s->next.offset - 1);
		json_text_raw(&s->text, tag.text);
		json_text_raw(&s->text, "\n\n");
	} else {
		json_text_raw(&s->text, ":\n");
	}
	s->heartbeat_ms = clock_mono_ms() + s->rq->server->settings->heartbeat_ms;
}

static void stream_wake(struct watch *watch, enum watch_news news)
{
	struct stream *s = (struct stream *)watch;
	(void)news; /* stream_read() checks everything itself. */
	MHD_resume_connection(s->rq->conn);
}

/* Copy formatted text into BUF. Returns the bytes copied. */
static ssize_t send_text(struct stream *s, char *buf, size_t max)
{
	size_t n = s->text.len - s->sent;
	if (n > max)
		n = max;
	if (n)
		memcpy(buf, s->text.data + s->sent, n);
	s->sent += n;
	if (s->sent == s->text.len) {
		if (s->text.cap > TEXT_ENOUGH)
			json_text_clear(&s->text);
		s->text.len = s->sent = 0;
	}
	return (ssize_t)n;
}

/* Return whether the time of ?wait= is over and all events up to then were read. */
static bool is_time_over(struct stream *s)
{
	if (!s->until_ms || clock_mono_ms() < s->until_ms)
		return false;
	if (!s->last)
		s->last = node_offset(s->rq->server->node);
	return s->next.offset > s->last;
}

/* Read on in the feed. Returns true if there is text to send or more to read, false at the
 * end. */
static bool read_feed(struct stream *s)
{
	switch (read_rows(s)) {
	case FILL_SOME:
		return true;
	case FILL_LOST:
		end_with(s, "gone",
		         "Events were dropped before you read them: you read too slowly, or were "
		         "disconnected too long. List the keys again, then watch from the offset "
		         "of that response.");
		return true;
	case FILL_BUSY:
		end_with(s, "failed", "The memory for responses is in use. Try again.");
		return true;
	case FILL_FAILED:
		end_with(s, "failed", "The feed cannot be read now. Try again.");
		return true;
	case FILL_END:
		break;
	}
	return false;
}

/* Suspend the stream until the hub wakes it. */
static void wait_for_change(struct stream *s)
{
	int64_t wake_ms = s->heartbeat_ms;
	if (s->until_ms && s->until_ms < wake_ms)
		wake_ms = s->until_ms;
	MHD_suspend_connection(s->rq->conn);
	if (!watch_wait(&s->watch, s->next.offset, wake_ms))
		MHD_resume_connection(s->rq->conn); /* There is something to read already. */
}

/* Fill BUF, or suspend the connection and return 0: MHD's content reader. */
static ssize_t stream_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct stream *s = arg;
	(void)pos;
	watch_served(&s->watch);
	/* Skip rows that the hub has checked for it while it waited. */
	if (s->next.offset < s->watch.from)
		s->next = (struct change_place){ .offset = s->watch.from };
	for (;;) {
		size_t len = 0;
		if (s->text.failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		ssize_t n = send_text(s, buf, max);
		if (n)
			return n;
		if (s->ended || watch_hub_is_closing(s->watch.hub) || watch_is_over(&s->watch) ||
		    is_time_over(s))
			return MHD_CONTENT_READER_END_OF_STREAM;
		int64_t now_ms = clock_mono_ms();
		if (now_ms >= s->heartbeat_ms) {
			format_heartbeat(s);
			continue;
		}
		/* When its time is over, read the rest from the feed at once. */
		bool late = s->until_ms && now_ms >= s->until_ms;
		enum change_read result = late ? CHANGE_READ_FEED :
		                                 watch_read(&s->watch, &s->next, buf, max, &len);
		if (result == CHANGE_READ_SOME)
			return (ssize_t)len;
		if (result == CHANGE_READ_FEED && read_feed(s))
			continue;
		if (late)
			return MHD_CONTENT_READER_END_OF_STREAM;
		wait_for_change(s);
		return 0;
	}
}

static void stream_free(struct watch *watch)
{
	struct stream *s = (struct stream *)watch;
	json_text_clear(&s->text);
	free(s);
}

/* Unregister the stream at the end of the response; the connection is resumed by then. */
static void stream_over(void *arg)
{
	struct stream *s = arg;
	watch_remove(&s->watch);
}

/* --- request --------------------------------------------------------------- */

/* Where a client wants to start. */
struct start {
	struct change_place place;
	bool given;                   /* by the client; otherwise the log's end */
	char tag[VOLUME_TAG_LEN + 1]; /* tag of the volume of `place`; "": any */
};

/* Read a number and, if there is one, a volume's tag. Moves *AT past them. */
static bool read_offset(const char **at, uint64_t *ret, char *ret_tag)
{
	char *end;
	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	if (errno || *ret > INT64_MAX)
		return false;
	ret_tag[0] = '\0';
	if (*end == '-') {
		if (strspn(end + 1, "0123456789abcdef") != VOLUME_TAG_LEN - 1)
			return false;
		memcpy(ret_tag, end, VOLUME_TAG_LEN);
		ret_tag[VOLUME_TAG_LEN] = '\0';
		end += VOLUME_TAG_LEN;
	}
	*at = end;
	return true;
}

/* Read the id of the last message received: OFFSET or OFFSET.INDEX, with or without a
 * volume's tag after OFFSET. RET is the place after it. */
static bool parse_id(const char *text, struct start *ret)
{
	char *end;
	uint64_t offset;
	if (!read_offset(&text, &offset, ret->tag))
		return false;
	if (!*text) {
		ret->place = (struct change_place){ .offset = offset + 1 };
		return true;
	}
	if (text[0] != '.' || text[1] < '0' || text[1] > '9')
		return false;
	errno = 0;
	uint64_t index = strtoull(text + 1, &end, 10);
	if (errno || *end || index >= SIZE_MAX)
		return false;
	ret->place = (struct change_place){ .offset = offset, .index = (size_t)index + 1 };
	return true;
}

/* Read where the client wants to start. Returns false after an answer. */
static bool read_start(struct request *rq, struct start *ret, enum MHD_Result *out)
{
	const char *raw;
	size_t len;
	char text[24 + VOLUME_TAG_LEN];
	ret->given = url_param(&rq->url, "from", &raw, &len);
	bool valid = !ret->given;
	if (ret->given && len < sizeof(text)) {
		const char *at = text;
		memcpy(text, raw, len);
		text[len] = '\0';
		valid = read_offset(&at, &ret->place.offset, ret->tag) && !*at;
	}
	if (valid && rq->headers.last_event_id) {
		/* This one wins: a browser that reconnects repeats the URL with its ?from=. */
		ret->given = true;
		if (parse_id(rq->headers.last_event_id, ret))
			return true;
		*out = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "Last-Event-ID must be the id of a message of this stream.");
		return false;
	}
	if (valid)
		return true;
	*out = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
	               "from must be the offset of the first event to send: the X-Keydir-Offset "
	               "of your listing plus one.");
	return false;
}

/* Check the place against the feed, or set it to the log's end. Returns 0, -ESTALE if the feed
 * has dropped it, -EXDEV if it is of another volume, or another -errno. */
static int find_place(struct request *rq, struct start *start, uint64_t *ret_offset)
{
	struct view view;
	struct volume_tag tag;
	uint64_t first;
	int r = view_open(node_store(rq->server->node), &view);
	if (r)
		return r;
	view_tag(&view, &tag);
	*ret_offset = view_offset(&view);
	if (!start->given)
		start->place = (struct change_place){ .offset = txn_meta(view.txn)->started ?
			                                                *ret_offset + 1 :
			                                                0 };
	else if (!volume_tag_fits(&tag, start->tag, strlen(start->tag)))
		r = -EXDEV;
	else if (!store_feed_first(view.txn, &first) && start->place.offset < first)
		r = -ESTALE;
	view_close(&view);
	return r;
}

/* Read ?prefix=: a key, or a directory with or without a slash at its end. Returns false
 * after an answer. */
static bool read_prefix(struct request *rq, char *buf, size_t *ret_len, enum MHD_Result *out)
{
	const char *raw;
	size_t len;
	*ret_len = 0;
	if (!url_param(&rq->url, "prefix", &raw, &len))
		return true;
	long n = url_decode_value(raw, len, buf);
	if (n > 0 && buf[n - 1] == '/')
		n--;
	if (n < 0 || (n > 0 && key_check(buf, (size_t)n))) {
		*out = problem(
		        rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		        "prefix must be a key or a directory, as in ?prefix=users/; it selects "
		        "that entry and all below it.");
		return false;
	}
	*ret_len = (size_t)n;
	return true;
}

/* Read ?wait=, the time that the stream lasts; 0 without it. Returns false after an answer. */
static bool read_wait(struct request *rq, int64_t *ret_ms, enum MHD_Result *out)
{
	const char *raw;
	size_t len;
	*ret_ms = 0;
	if (!url_param(&rq->url, "wait", &raw, &len) || !ttl_parse(raw, len, ret_ms))
		return true;
	*out = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
	               "wait must be the time after which the stream ends, as in ?wait=30s.");
	return false;
}

/* Create a stream and register its watch. Returns NULL if memory runs out. */
static struct stream *stream_new(struct request *rq, size_t prefix_len, const char *prefix)
{
	struct stream *s = calloc(1, sizeof(*s) + prefix_len);
	if (!s)
		return NULL;
	s->rq = rq;
	s->text.counted = true;
	s->watch.over = client_released(rq->client);
	s->watch.wake = stream_wake;
	s->watch.free_it = stream_free;
	s->prefix_len = prefix_len;
	memcpy(s->prefix, prefix, prefix_len);
	s->watch.reads = true;
	s->watch.kind = url_flag(&rq->url, "values") ? CHANGE_VALUES : CHANGE_PLAIN;
	s->heartbeat_ms = clock_mono_ms() + rq->server->settings->heartbeat_ms;
	if (watch_add(rq->server->hub, &s->watch, prefix, prefix_len)) {
		free(s);
		return NULL;
	}
	return s;
}

static enum MHD_Result send_stream(struct request *rq, uint64_t offset,
                                   struct MHD_Response *response)
{
	response_header(response, "Content-Type", "text/event-stream");
	response_header(response, "Cache-Control", "no-store");
	response_header(response, "X-Accel-Buffering", "no"); /* Nginx must not buffer it. */
	return respond_send(rq, 200, offset, response);
}

static enum MHD_Result start_stream(struct request *rq, const char *prefix, size_t prefix_len,
                                    struct start *from, int64_t wait_ms)
{
	uint64_t offset = 0;
	/* Register the watch before reading the offset, so that no event between is missed. */
	struct stream *s = stream_new(rq, prefix_len, prefix);
	if (!s)
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	int r = find_place(rq, from, &offset);
	if (r) {
		watch_remove(&s->watch);
		if (r == -EXDEV)
			return problem(
			        rq, PROBLEM_GONE, offset,
			        "This offset is of another volume: the store was emptied or the "
			        "log created again, and offsets restarted. List the keys again, "
			        "then watch from the offset of that response.");
		if (r != -ESTALE)
			return problem_store(rq, r);
		return problem(
		        rq, PROBLEM_GONE, offset,
		        "The feed no longer has offset %llu. List the keys again, then watch "
		        "from the offset of that response.",
		        (unsigned long long)from->place.offset);
	}
	s->next = from->place;
	if (wait_ms)
		s->until_ms = clock_mono_ms() + wait_ms;
	put_number(s, "retry: ", RETRY_MS);
	put_number(s, "\n: watching from offset ", from->place.offset);
	/* No blank line: strict clients (httpx-sse) would take this for an empty event. The
	 * lines become part of the first message, and a client obeys `retry` at once. */
	json_text_raw(&s->text, "\n");
	struct MHD_Response *response = MHD_create_response_from_callback(
	        MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, s, stream_over);
	if (!response) {
		watch_remove(&s->watch);
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	}
	rq->endless = true;
	return send_stream(rq, offset, response);
}

enum MHD_Result handle_watch(struct request *rq)
{
	enum MHD_Result out;
	struct start from = { 0 };
	int64_t wait_ms;
	size_t prefix_len;
	char *prefix = malloc(rq->url.query_len + 1);
	if (!prefix)
		return respond_send(rq, 503, RESPOND_OFFSET_NOW, NULL);
	if (!read_prefix(rq, prefix, &prefix_len, &out) ||
	    !access_key(rq, TOKEN_READ, prefix, prefix_len, &out) || !read_start(rq, &from, &out) ||
	    !read_wait(rq, &wait_ms, &out)) {
		free(prefix);
		return out;
	}
	if (atomic_load(&rq->server->draining))
		out = problem(rq, PROBLEM_STOPPING, RESPOND_OFFSET_NOW,
		              "This node is stopping. Watch another one.");
	else if (rq->method == HTTP_HEAD)
		out = send_stream(rq, RESPOND_OFFSET_NOW, response_stream());
	else if (key_wait_may_begin(rq, &out))
		out = start_stream(rq, prefix, prefix_len, &from, wait_ms);
	free(prefix);
	return out;
}
