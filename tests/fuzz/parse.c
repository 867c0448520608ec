// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer's entry point for the text parsers of userspace: numbers with units,
 * bpipectl's values, lists of fields and declarations, and the stream that
 * bpipe-load checks.
 *
 * The first byte selects the parser, the rest is its text.
 */
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpipe.h"
#include "bpipectl.h"
#include "declared.h"
#include "fields.h"
#include "parse.h"
#include "text.h"
#include "usual.h"

/* Format messages, but do not print them. */
void vcomplain(const char *fmt, va_list args)
{
	char buf[4096];

	vsnprintf(buf, sizeof(buf), fmt, args);
}

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
}

void complain_at(const char *file, unsigned int line)
{
	(void)file;
	(void)line;
}

void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* Make a new channel, without asking a module for its size. */
int usual_new(struct channel *ch)
{
	*ch = (struct channel) { .fd = -1, .config = { .size = 1 << 20 } };
	return EXIT_OK;
}

/* Check files of declarations: each accepted value must be valid for the module. */
static void declarations(uint8_t *data, size_t size)
{
	char *standard[] = { "-", NULL };
	struct declared all;

	stdin = fmemopen(data, size, "r");
	if (!stdin)
		abort();
	if (declared_read(&all, standard) == EXIT_OK) {
		for (size_t i = 0; i < all.nr; i++) {
			const struct bpipe_config *config = &all.at[i].want.config;

			if (strncmp(all.at[i].name, BPIPE_DEFAULT, strlen(BPIPE_DEFAULT)) ||
			    declared_find(&all, all.at[i].name) != &all.at[i] ||
			    config->low >= config->high || config->high > config->size ||
			    config->size > BPIPE_SIZE_MAX)
				abort();
		}
	}
	declared_free(&all);
	fclose(stdin);
}

/* Check that a parsed number can be formatted, and that the text has the right length. */
static void number(int (*parse)(const char *text, uint64_t *value),
		   void (*format)(uint64_t value, char *buf, size_t len), const char *text)
{
	char buf[BPIPE_TEXT_MAX];
	uint64_t value, again;

	if (parse(text, &value))
		return;
	memset(buf, 'x', sizeof(buf));
	format(value, buf, sizeof(buf));
	if (!memchr(buf, 0, sizeof(buf)))
		abort();
	if (parse(text, &again) || again != value)
		abort();
	/* A time has a unit. */
	if (format == bpipe_format_time && value && !strpbrk(text, "smhdSMHD"))
		abort();
	/* Digits alone are that number. */
	if (format == bpipe_format_size && !text[strspn(text, "0123456789")] &&
	    strtoull(text, NULL, 10) != value)
		abort();
}

static void field(const uint8_t *data, size_t size, const char *text)
{
	const struct field *f = fields;
	struct channel ch = { .config.size = 1 << 20 };
	char buf[FIELD_TEXT_MAX];
	uint64_t value = 0;

	for (unsigned int i = size ? data[0] : 0; i && f[1].name; i--)
		f++;
	if (field_parse(f, text, ch.config.size, &value) != EXIT_OK)
		return;
	if (f->kind == FIELD_LEVEL && strchr(text, '%') && value > ch.config.size)
		abort();
	/* Decimal, without an exponent. */
	if ((f->kind == FIELD_LEVEL || f->kind == FIELD_SHARE) && strchr(text, '%') &&
	    text[strspn(text, "0123456789. ")] != '%')
		abort();
	field_store(f, &ch, value);
	if (strlen(field_format(f, &ch, false, buf)) >= FIELD_TEXT_MAX)
		abort();
	field_format(f, &ch, true, buf);
}

/* Check that any text becomes one printable word in a table, and UTF-8 in JSON. */
static void escaped(const char *text)
{
	size_t size = TEXT_WORD_MAX(strlen(text));
	char *word = malloc(size), *utf8 = text_utf8(text), *again;

	for (const char *at = text_word(text, word, size); *at; at++)
		if (*at <= ' ' || *at > '~')
			abort();
	if (!*word || strlen(word) >= size)
		abort();
	/* Valid text must not change. */
	again = text_utf8(utf8);
	if (strcmp(utf8, again))
		abort();
	/* The C library's multibyte decoder must agree. */
	if (mbstowcs(NULL, utf8, 0) == (size_t)-1)
		abort();
	text_print(stdout, text);
	free(word);
	free(utf8);
	free(again);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct columns columns;
	char path[BPIPE_PATH_MAX];
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;

	switch (data[0] % 9) {
	case 8:
		if (size > 1)
			declarations((uint8_t *)text, size - 1);
		break;
	case 0:
		number(bpipe_parse_size, bpipe_format_size, text);
		break;
	case 1:
		number(bpipe_parse_rate, bpipe_format_rate, text);
		break;
	case 2:
		number(bpipe_parse_time, bpipe_format_time, text);
		break;
	case 3:
		field(data + 1, size - 1, *text ? text + 1 : text);
		break;
	case 4:
		columns_choose(&columns, text, false);
		break;
	case 5:
		bpipe_path(text, path, sizeof(path));
		break;
	case 6:
		escaped(text);
		break;
	default:
		parse_stream(data + 1, size - 1);
	}
	free(text);
	return 0;
}
