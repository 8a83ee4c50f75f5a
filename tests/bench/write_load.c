/* write_load: time writes one at a time, until the response, and until another node
 * shows the value.
 *
 *     write_load put PORT SECONDS BYTES            PUT, until the response
 *     write_load file DIR SECONDS BYTES            open, write, close of a file
 *     write_load seen-rest PORT PORT2 SECONDS BYTES
 *             from sending a PUT to PORT until a GET at PORT2 returns it
 *     write_load seen-mount PORT DIR SECONDS BYTES
 *             from sending a PUT to PORT until stat in DIR shows it
 *
 * Prints the 50th and the 99th percentile in us. REST is on 127.0.0.1, with
 * persistent connections. Each poll of the other node is followed by a pause of
 * LOOK_US, so that polling does not take the processor from the nodes. */
#include "tests/bench/dial.h"
#include "tests/bench/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define KEYS 1000
#define WARM_UP 200 /* writes that are not counted */
#define LOOK_US 50
#define GIVE_UP_US 20e6
#define HEAD_MAX 4096

struct load {
	int to, look; /* connections; look may be a directory instead */
	char *value;
	size_t size;
	uint64_t run; /* part of each value, so that no value is like one of an earlier run */
	char *answer; /* HEAD_MAX + the longest value */
	bool files, by_rest, by_mount;
};

static void die(const char *what)
{
	fprintf(stderr, "write_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int dial_port(const char *port)
{
	return dial_loopback((uint16_t)strtoul(port, NULL, 10));
}

static void send_request(int fd, const char *method, uint64_t n, const char *body, size_t size)
{
	char head[256];
	int len = snprintf(head, sizeof(head),
	                   "%s /v1/kv/key:%" PRIu64 " HTTP/1.1\r\nHost: localhost\r\n"
	                   "Content-Length: %zu\r\n\r\n",
	                   method, n % KEYS, size);
	struct iovec parts[2] = { { head, (size_t)len }, { (void *)body, size } };
	if (writev(fd, parts, 2) != (ssize_t)((size_t)len + size))
		die("send");
}

/* Read one response; RET_BODY points to its body. Return the status. */
static int receive_response(struct load *load, int fd, char **ret_body, size_t *ret_size)
{
	size_t have = 0, room = HEAD_MAX + load->size + 1;
	char *end = NULL, *length;
	size_t head = 0, body = 0;
	do {
		ssize_t n = read(fd, load->answer + have, room - have);
		if (n <= 0)
			die("receive");
		have += (size_t)n;
		load->answer[have] = '\0';
		if (!end && (end = strstr(load->answer, "\r\n\r\n"))) {
			head = (size_t)(end - load->answer) + 4;
			length = strcasestr(load->answer, "content-length:");
			body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
		}
	} while (!end || (have < head + body && have < room));
	*ret_body = load->answer + head;
	*ret_size = body;
	return (int)strtol(load->answer + 9, NULL, 10);
}

static void expect_written(struct load *load)
{
	char *body;
	size_t size;
	int status = receive_response(load, load->to, &body, &size);
	if (status != 200 && status != 201) {
		fprintf(stderr, "write_load: PUT got status %d: %s\n", status, body);
		exit(1);
	}
}

static bool rest_shows(struct load *load, uint64_t n)
{
	char *body;
	size_t size;
	send_request(load->look, "GET", n, NULL, 0);
	return receive_response(load, load->look, &body, &size) == 200 && size == load->size &&
	       memcmp(body, load->value, size) == 0;
}

/* If stat shows another size, there is no need to read the content. */
static bool mount_shows(struct load *load, uint64_t n)
{
	char name[32];
	struct stat st;
	snprintf(name, sizeof(name), "key:%" PRIu64, n % KEYS);
	if (fstatat(load->look, name, &st, 0) || (size_t)st.st_size != load->size)
		return false;
	int fd = openat(load->look, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(name);
	ssize_t got = read(fd, load->answer, load->size + 1);
	close(fd);
	return got == (ssize_t)load->size && memcmp(load->answer, load->value, load->size) == 0;
}

static void write_file(struct load *load, uint64_t n)
{
	char name[32];
	snprintf(name, sizeof(name), "key:%" PRIu64, n % KEYS);
	int fd = openat(load->to, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, load->value, load->size) != (ssize_t)load->size || close(fd))
		die(name);
}

/* Write value N and time it. Return us. */
static double write_once(struct load *load, uint64_t n)
{
	memcpy(load->value, &n, sizeof(n));
	memcpy(load->value + sizeof(n), &load->run, sizeof(load->run));
	double begin = samples_now(), end;
	if (load->files) {
		write_file(load, n);
		return samples_now() - begin;
	}
	send_request(load->to, "PUT", n, load->value, load->size);
	if (!load->by_rest && !load->by_mount) {
		expect_written(load);
		return samples_now() - begin;
	}
	while (load->by_rest ? !rest_shows(load, n) : !mount_shows(load, n)) {
		if (samples_now() - begin > GIVE_UP_US) {
			fprintf(stderr, "write_load: the other node does not show the write\n");
			exit(1);
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_US * 1000 }, NULL);
	}
	end = samples_now();
	expect_written(load);
	return end - begin;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct load load = {
		.files = argc == 5 && strcmp(what, "file") == 0,
		.by_rest = argc == 6 && strcmp(what, "seen-rest") == 0,
		.by_mount = argc == 6 && strcmp(what, "seen-mount") == 0,
	};
	bool put = argc == 5 && strcmp(what, "put") == 0;
	if (!put && !load.files && !load.by_rest && !load.by_mount) {
		fprintf(stderr, "usage: write_load put PORT | file DIR | seen-rest PORT PORT2 |\n"
		                "                  seen-mount PORT DIR    SECONDS BYTES\n");
		return 2;
	}
	double seconds = strtod(argv[argc - 2], NULL);
	size_t size = strtoul(argv[argc - 1], NULL, 10);
	load.to = load.files ? open(argv[2], O_RDONLY | O_DIRECTORY) : dial_port(argv[2]);
	load.look = load.by_mount ? open(argv[3], O_RDONLY | O_DIRECTORY) :
	            load.by_rest  ? dial_port(argv[3]) :
	                            0;
	if (load.to < 0 || load.look < 0)
		die(argv[2]);
	load.value = calloc(1, size + 1);
	load.answer = malloc(HEAD_MAX + size + 2);
	if (!load.value || !load.answer || size < 2 * sizeof(uint64_t)) {
		errno = size < 2 * sizeof(uint64_t) ? EINVAL : ENOMEM;
		die("BYTES");
	}
	load.run = (uint64_t)samples_now();
	/* Without this, the kernel adds 50 us to a pause. */
	prctl(PR_SET_TIMERSLACK, 1UL);

	struct samples samples = { 0 };
	double begin = samples_now();
	for (uint64_t n = 0; n < WARM_UP || samples_now() - begin < seconds * 1e6; n++) {
		load.size = size + (n / KEYS & 1);
		double us = write_once(&load, n);
		if (n >= WARM_UP)
			samples_add(&samples, us);
		else
			begin = samples_now();
	}
	free(load.value);
	free(load.answer);
	return samples_print(&samples);
}
