/* Value answers: a stored value as the body of a response.
 *
 * A snapshot must not wait for a client, so a value is copied before it is sent, into memory that
 * is counted (answer_memory.h). Clients that read the same version of a large value at the same
 * time share one copy.
 *
 * When that memory is short, and for a value larger than --max-value (another node may have a
 * higher limit), the value is sent in pieces: each is read from a snapshot of its own when the
 * socket can accept it. If the entry has another version by then, the connection is closed before
 * the end of the body, which the client notices by Content-Length: it never gets parts of two
 * values.
 *
 * Lock: copies_lock protects the list of shared copies and their counts; a leaf, and nothing is
 * read, copied or freed while it is held. */
#include "httpd/value_answer.h"

#include "httpd/answer_memory.h"
#include "httpd/response.h"
#include "httpd/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* A whole value of at least this size is shared. */
#define SHARED_MIN (2 << 20)
/* Bytes of one piece. */
#define PIECE_MAX ((size_t)64 << 10)

/* Identity of one content of an entry. */
struct content {
	uint64_t ino;
	uint64_t version;
	uint64_t size;
	int64_t mtime_ns;
};

static struct content content_of(const struct entry *e)
{
	return (struct content){ e->ino, e->version, e->size, e->mtime_ns };
}

static bool is_same(const struct content *a, const struct content *b)
{
	return a->ino == b->ino && a->version == b->version && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns;
}

/* Copy LEN bytes from FIRST on. Returns 0 and *RET, -EBUSY, -ENOMEM or -EIO. */
static int copy_value(const struct view *view, const struct entry *e, uint64_t first, uint64_t len,
                      void **ret)
{
	void *data;
	int r = answer_memory_value(&data, len);
	if (r)
		return r;
	int64_t n = store_read(view->txn, e, first, data, len);
	if (n != (int64_t)len) {
		answer_memory_free(data);
		return n < 0 ? (int)n : -EIO;
	}
	*ret = data;
	return 0;
}

/* --- shared copies --------------------------------------------------------- */

struct copy {
	struct content content;
	void *data;
	unsigned refs;     /* copies_lock */
	struct copy *next; /* copies_lock */
};

static pthread_mutex_t copies_lock = PTHREAD_MUTEX_INITIALIZER;
static struct copy *copies; /* few, because each has at least SHARED_MIN bytes */

/* Find the copy of CONTENT and take a reference; NULL if it does not exist. Called with the lock
 * held. */
static struct copy *find_copy(const struct content *content)
{
	for (struct copy *copy = copies; copy; copy = copy->next) {
		if (is_same(&copy->content, content)) {
			copy->refs++;
			return copy;
		}
	}
	return NULL;
}

static void copy_unref(void *arg)
{
	struct copy *copy = arg;
	pthread_mutex_lock(&copies_lock);
	bool last = --copy->refs == 0;
	struct copy **at = &copies;
	while (last && *at != copy)
		at = &(*at)->next;
	if (last)
		*at = copy->next;
	pthread_mutex_unlock(&copies_lock);
	if (!last)
		return;
	answer_memory_free(copy->data);
	free(copy);
}

/* Find or create the copy of E's value. Returns 0 and *RET, with a reference, or an error as
 * copy_value(). */
static int share_copy(const struct view *view, const struct entry *e, struct copy **ret)
{
	struct content content = content_of(e);
	pthread_mutex_lock(&copies_lock);
	*ret = find_copy(&content);
	pthread_mutex_unlock(&copies_lock);
	if (*ret)
		return 0;
	struct copy *copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = (struct copy){ .content = content, .refs = 1 };
	int r = copy_value(view, e, 0, e->size, &copy->data);
	if (r) {
		free(copy);
		return r;
	}
	/* Another thread may have created the same copy in the meantime: then there are two. */
	pthread_mutex_lock(&copies_lock);
	copy->next = copies;
	copies = copy;
	pthread_mutex_unlock(&copies_lock);
	*ret = copy;
	return 0;
}

/* --- pieces ---------------------------------------------------------------- */

struct pieces {
	struct store *store;
	struct content content;
	uint64_t first;
	size_t block; /* counted memory */
};

static ssize_t read_piece(void *arg, uint64_t pos, char *buf, size_t max)
{
	const struct pieces *p = arg;
	struct view view;
	struct entry e;
	int64_t n = -ESTALE;
	if (view_open(p->store, &view))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!store_get(view.txn, p->content.ino, &e)) {
		struct content now = content_of(&e);
		if (is_same(&now, &p->content))
			n = store_read(view.txn, &e, p->first + pos, buf, max);
	}
	view_close(&view);
	return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void pieces_free(void *arg)
{
	struct pieces *p = arg;
	answer_memory_give(p->block);
	free(p);
}

static struct MHD_Response *answer_pieces(struct request *rq, const struct entry *e, uint64_t first,
                                          uint64_t len, int *ret_err)
{
	struct pieces *p = malloc(sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct pieces){
		.store = node_store(rq->server->node),
		.content = content_of(e),
		.first = first,
		.block = len < PIECE_MAX ? len : PIECE_MAX,
	};
	*ret_err = answer_memory_take(p->block);
	if (*ret_err) {
		free(p);
		return NULL;
	}
	return response_pieces(len, p->block, read_piece, p, pieces_free);
}

struct MHD_Response *value_answer(struct request *rq, const struct view *view,
                                  const struct entry *e, uint64_t first, uint64_t len, int *ret_err)
{
	struct copy *copy;
	void *data;
	*ret_err = 0;
	if (!len)
		return response_empty();
	if (e->is_inline)
		return response_copy((const char *)e->inline_value + first, len);
	if (len > node_get_config(rq->server->node)->max_value)
		return answer_pieces(rq, e, first, len, ret_err);
	bool shared = len == e->size && len >= SHARED_MIN;
	int r = shared ? share_copy(view, e, &copy) : copy_value(view, e, first, len, &data);
	if (r == -EBUSY || r == -ENOMEM)
		return answer_pieces(rq, e, first, len, ret_err);
	if (r) {
		*ret_err = r;
		return NULL;
	}
	return shared ? response_shared(copy->data, len, copy_unref, copy) :
	                response_counted(data, len);
}
