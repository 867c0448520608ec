// SPDX-License-Identifier: GPL-2.0
/* classes: print the counters of each class. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"

/* Print the headings. @width is that of the column of names, 0 without one. */
static void print_heading(int width)
{
	if (width)
		printf("%-*s ", width, "CHANNEL");
	printf("%5s %12s %12s %12s %12s", "CLASS", "WRITTEN", "READ", "QUEUED", "DROPPED");
	for (int i = 0; bpipe_word(BPIPE_WORDS_DROP, i); i++)
		printf(" %10s", bpipe_word(BPIPE_WORDS_DROP, i));
	putchar('\n');
}

static void print_class(const struct channel *ch, int class, int width)
{
	const struct bpipe_class_stats *stats = &ch->stats.classes[class];
	uint64_t dropped = 0;

	for (int i = 0; i < BPIPE_DROP_REASONS; i++)
		dropped += stats->dropped_records[i];
	if (width)
		printf("%-*s ", width, ch->config.name);
	printf("%5d %12llu %12llu %12llu %12" PRIu64, class, stats->written_records,
	       stats->read_records, stats->queued_records, dropped);
	for (int i = 0; bpipe_word(BPIPE_WORDS_DROP, i); i++)
		printf(" %10llu", stats->dropped_records[i]);
	putchar('\n');
}

int classes(const struct options *opts, char **args)
{
	struct channels all;
	int status = channels_open(&all, args), width = 0, len;

	for (size_t i = 0; all.nr > 1 && i < all.nr; i++) {
		len = strlen(all.at[i].config.name);
		if (len > width)
			width = len;
	}
	if (width && width < (int)strlen("CHANNEL"))
		width = strlen("CHANNEL");
	if (opts->json)
		json_print(&all, NULL);
	else if (all.nr && !opts->noheadings)
		print_heading(width);
	for (size_t i = 0; !opts->json && i < all.nr; i++)
		for (int class = 0; class < BPIPE_CLASSES; class++)
			if (all.at[i].stats.classes[class].written_records)
				print_class(&all.at[i], class, width);
	channels_close(&all);
	return status;
}
