/* Handshake: features agreed with the kernel at the start that libfuse does not know.
 *
 * - FUSE_DIRECT_IO_ALLOW_MMAP (Linux 6.6, include/uapi/linux/fuse.h) lets programs map a file
 *   with MAP_SHARED although it is read without the kernel's cache (direct_io). libfuse before
 *   3.17 cannot request it: its flags end at bit 31.
 * - FUSE_PARALLEL_DIROPS lets the kernel send several look-ups and listings of one directory
 *   at a time. libfuse 3.14 accepts the request for it (FUSE_CAP_PARALLEL_DIROPS) but does not
 *   pass it on.
 *
 * So this module inspects the first request and adds these flags to its reply. Everything
 * else in the reply comes from libfuse. No lock: a single thread handles the first request. */
#include "fs/handshake.h"

#include <linux/fuse.h>

#define ALLOW_MMAP_FLAG2 (UINT32_C(1) << (36 - 32))

void handshake_request(struct handshake *hs, const void *request, size_t size)
{
	const struct fuse_in_header *header = request;
	const struct fuse_init_in *in = (const void *)(header + 1);

	if (hs->done || hs->unique ||
	    size < sizeof(*header) + offsetof(struct fuse_init_in, unused) ||
	    header->opcode != FUSE_INIT)
		return;
	hs->unique = header->unique;
	hs->maps_direct = (in->flags & FUSE_INIT_EXT) && (in->flags2 & ALLOW_MMAP_FLAG2);
	hs->parallel = in->flags & FUSE_PARALLEL_DIROPS;
}

bool handshake_reply(struct handshake *hs, const struct iovec *iov, int count)
{
	if (hs->done)
		return false;
	const struct fuse_out_header *header = iov[0].iov_base;
	if (!hs->unique || header->unique != hs->unique)
		return false;
	hs->done = true;
	if (header->error || count != 2 || iov[1].iov_len < offsetof(struct fuse_init_out, unused))
		return false;
	struct fuse_init_out *out = iov[1].iov_base;
	if (hs->parallel)
		out->flags |= FUSE_PARALLEL_DIROPS;
	if (!hs->maps_direct)
		return false;
	out->flags |= FUSE_INIT_EXT;
	out->flags2 |= ALLOW_MMAP_FLAG2;
	return true;
}
