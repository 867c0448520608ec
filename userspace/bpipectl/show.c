// SPDX-License-Identifier: GPL-2.0
/* show: channels for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpipectl.h"
#include "fields.h"

#define SAMPLE_NS	200000000L	/* what the rates are measured over */
#define BAR_WIDTH	32

#define BOLD	"\033[1m"
#define GREEN	"\033[32m"
#define RED	"\033[31m"
#define RESET	"\033[0m"

static bool coloured(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

static const char *colour(const char *escape)
{
	return coloured() ? escape : "";
}

/* Each call has a buffer of its own, for as many as one printf can use. */
static char *next_text(void)
{
	static char texts[8][BPIPE_TEXT_MAX];
	static unsigned int next;

	return texts[next++ % ARRAY_SIZE(texts)];
}
