// SPDX-License-Identifier: Apache-2.0
// connect-loop N DIAL-IP DIAL-PORT LISTEN-IP LISTEN-PORT: N times socket(), connect(), close() against a listener of its own.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static socklen_t fill(struct sockaddr_storage *out, const char *ip, int port)
{
	memset(out, 0, sizeof(*out));
	if (strchr(ip, ':')) {
		struct sockaddr_in6 *a = (void *)out;
		a->sin6_family = AF_INET6;
		a->sin6_port = htons(port);
		inet_pton(AF_INET6, ip, &a->sin6_addr);
		return sizeof(*a);
	}
	struct sockaddr_in *a = (void *)out;
	a->sin_family = AF_INET;
	a->sin_port = htons(port);
	inet_pton(AF_INET, ip, &a->sin_addr);
	return sizeof(*a);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage dial, here;
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	int one = 1, failed = 0;

	if (argc != 6)
		return 2;
	socklen_t dial_len = fill(&dial, argv[2], atoi(argv[3]));
	socklen_t here_len = fill(&here, argv[4], atoi(argv[5]));
	int listener = socket(here.ss_family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&here, here_len) || listen(listener, 1024)) {
		perror("listen");
		return 1;
	}
	pid_t server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int fd = accept(listener, NULL, NULL);
			if (fd >= 0)
				close(fd);
		}
	}
	close(listener);
	for (int i = 0, n = atoi(argv[1]); i < n; i++) {
		int fd = socket(dial.ss_family, SOCK_STREAM, 0);
		if (connect(fd, (void *)&dial, dial_len)) {
			failed++;
			if (failed == 1)
				perror("connect");
		}
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
	}
	kill(server, SIGKILL);
	/* The next loop listens at the same port. */
	waitpid(server, NULL, 0);
	printf("%d failed\n", failed);
	return failed != 0;
}
