// SPDX-License-Identifier: GPL-2.0
/*
 * A queue without a limit between standard input and standard output, like the
 * one in many a program: one thread appends what comes in to a list, another
 * hands on what is at its head, and nothing tells the first to wait.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct item {
	struct item *next;
	size_t len;
	char data[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static struct item *head, **tail = &head;
static bool ended;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* NULL: no more will come. */
static void append(struct item *item)
{
	pthread_mutex_lock(&lock);
	if (item) {
		*tail = item;
		tail = &item->next;
	} else {
		ended = true;
	}
	pthread_cond_signal(&news);
	pthread_mutex_unlock(&lock);
}

/* NULL: all is handed on. */
static struct item *take(void)
{
	struct item *item;

	pthread_mutex_lock(&lock);
	while (!head && !ended)
		pthread_cond_wait(&news, &lock);
	item = head;
	if (item) {
		head = item->next;
		if (!head)
			tail = &head;
	}
	pthread_mutex_unlock(&lock);
	return item;
}

static void *hand_on(void *unused)
{
	struct item *item;
	size_t done;
	ssize_t n;

	while ((item = take())) {
		for (done = 0; done < item->len; done += (size_t)n) {
			n = write(STDOUT_FILENO, item->data + done, item->len - done);
			if (n < 0)
				die("queue: write");
		}
		free(item);
	}
	return unused;
}

int main(void)
{
	static char buf[65536];
	struct item *item;
	pthread_t writer;
	ssize_t n;

	if (pthread_create(&writer, NULL, hand_on, NULL))
		die("queue: thread");
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		item = malloc(sizeof(*item) + (size_t)n);
		if (!item)
			die("queue: malloc");
		item->next = NULL;
		item->len = (size_t)n;
		memcpy(item->data, buf, item->len);
		append(item);
	}
	if (n < 0)
		die("queue: read");
	append(NULL);
	pthread_join(writer, NULL);
	return 0;
}
