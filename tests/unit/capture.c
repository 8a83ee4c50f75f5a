/* Capture: collect written output as text. An error of the capture itself aborts the
 * test program. */
#include "tests/unit/capture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int saved_fd = -1;

/* Abort unless OK: without it the test would be meaningless. */
static void need(int ok)
{
	if (!ok)
		abort();
}

void capture_begin(struct capture *capture)
{
	*capture = (struct capture){ 0 };
	capture->file = open_memstream(&capture->text, &capture->len);
	need(capture->file != NULL);
}

void capture_end(struct capture *capture)
{
	need(fclose(capture->file) == 0);
}

void stderr_begin(void)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC);

	saved_fd = dup(STDERR_FILENO);
	need(fd >= 0 && saved_fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	/* As for a log file or a pipe: each write is appended. */
	need(fcntl(fd, F_SETFL, O_APPEND) == 0);
	close(fd);
}

char *stderr_end(size_t *ret_len)
{
	off_t size = lseek(STDERR_FILENO, 0, SEEK_END);
	char *text;

	need(size >= 0);
	text = calloc(1, (size_t)size + 1);
	need(text && pread(STDERR_FILENO, text, (size_t)size, 0) == size);
	need(dup2(saved_fd, STDERR_FILENO) == STDERR_FILENO);
	close(saved_fd);
	*ret_len = (size_t)size;
	return text;
}
