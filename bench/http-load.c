// SPDX-License-Identifier: Apache-2.0
// http-load IP PORT CONNECTIONS keep|close REQUEST [FIRST]: for each number N that is read, N requests over so many connections at once;
// then writes how many seconds it took. `close`: a new connection for each. REQUEST, FIRST: files; FIRST comes before the first request
// of each connection, in the same write. Connections that are kept stay open from one number to the next.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 256

struct conn {
	int fd;
	int fresh; /* nothing sent yet */
	size_t got;
	char in[8192];
};

static struct sockaddr_in to;
static struct conn conns[MOST];
static char first[65536], next[65536]; /* of a connection that is new, of one that is not */
static size_t first_length, next_length;
static int keep, epoll;
static long begun, done, wanted;

static void fail(const char *what)
{
	fprintf(stderr, "http-load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static size_t load(const char *path, char *out, size_t most)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(out, 1, most, f) : 0;

	if (!n)
		fail(path);
	fclose(f);
	return n;
}

static void watch(struct conn *c, int op, unsigned int events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll, op, c->fd, &e))
		fail("epoll_ctl");
}

static void dial(struct conn *c)
{
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	c->fresh = 1;
	if (c->fd < 0)
		fail("socket");
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		fail("connect");
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void ask(struct conn *c)
{
	const size_t length = c->fresh ? first_length : next_length;

	if (write(c->fd, c->fresh ? first : next, length) != (ssize_t)length)
		fail("write");
	c->got = 0;
	if (c->fresh)
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
	c->fresh = 0;
}

/* Its next request, as long as one is to be made. */
static void go_on(struct conn *c)
{
	if (begun == wanted)
		return;
	begun++;
	if (c->fd < 0)
		dial(c);
	else
		ask(c);
}

/* Whether the answer is there as a whole. */
static int whole(const struct conn *c)
{
	const char *end = memmem(c->in, c->got, "\r\n\r\n", 4);
	const char *length = end ? memmem(c->in, end - c->in, "content-length: ", 16) : NULL;

	return length && c->got >= end + 4 - c->in + strtoul(length + 16, NULL, 10);
}

static void hear(struct conn *c)
{
	const ssize_t n = read(c->fd, c->in + c->got, sizeof(c->in) - c->got);

	if (n < 0)
		fail("read");
	c->got += n;
	if (keep ? !whole(c) : n > 0)
		return;
	if (!whole(c) || memcmp(c->in, "HTTP/1.1 200", 12)) {
		fprintf(stderr, "http-load: not an answer: %.*s\n", (int)c->got, c->in);
		exit(1);
	}
	done++;
	if (!keep) {
		close(c->fd);
		c->fd = -1;
	}
	go_on(c);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct epoll_event events[MOST];
	int i, n, at_once;

	if (argc < 6 || argc > 7)
		return 2;
	to.sin_family = AF_INET;
	to.sin_port = htons(atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	at_once = atoi(argv[3]);
	if (at_once < 1 || at_once > MOST)
		return 2;
	keep = !strcmp(argv[4], "keep");
	if (argc == 7)
		first_length = load(argv[6], first, sizeof(first) / 2);
	next_length = load(argv[5], next, sizeof(next) / 2);
	memcpy(first + first_length, next, next_length);
	first_length += next_length;
	epoll = epoll_create1(0);
	for (i = 0; i < at_once; i++)
		conns[i].fd = -1;
	while (scanf("%ld", &wanted) == 1) {
		const double start = now();

		begun = done = 0;
		for (i = 0; i < at_once; i++)
			go_on(&conns[i]);
		while (done < wanted) {
			n = epoll_wait(epoll, events, MOST, -1);
			for (i = 0; i < n; i++) {
				struct conn *c = events[i].data.ptr;

				if (c->fresh)
					ask(c);
				else
					hear(c);
			}
		}
		printf("%.9f\n", now() - start);
		fflush(stdout);
	}
	return 0;
}
