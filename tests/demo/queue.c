// SPDX-License-Identifier: GPL-2.0
/*
 * An unbounded queue between standard input and standard output, as many programs have one.
 * The main thread appends input to a list, and a second thread writes out the head of the
 * list. Nothing ever makes the main thread wait.
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

/* Append an item and wake the other thread; NULL marks the end of the input. */
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

/* Wait for an item and remove it from the head; return NULL after the last one. */
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
