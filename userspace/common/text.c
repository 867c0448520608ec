// SPDX-License-Identifier: GPL-2.0
/* Make text from other users safe to print. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define REPLACEMENT	"\xef\xbf\xbd"		/* U+FFFD */

/* Return the length of the first character in bytes, or 0 if it is not valid UTF-8. */
static size_t utf8_length(const char *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = *text;
	size_t len = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t code = len > 1 ? first & (0x7f >> len) : first;

	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (first >= 0xf8 || code < least[len] || code > 0x10ffff || code >> 11 == 0x1b)
		return 0;
	return len;
}

/* Return true for U+0000 to U+001F and U+007F to U+009F: terminals obey all of these. */
static int is_control(const char *text, size_t len)
{
	unsigned char first = text[0];

	if (len == 1)
		return first < 0x20 || first == 0x7f;
	return first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

void text_print(FILE *to, const char *text)
{
	size_t len;

	for (; *text; text += len) {
		len = utf8_length(text);
		if (len && !is_control(text, len)) {
			fwrite(text, 1, len, to);
			continue;
		}
		len = 1;
		fprintf(to, "\\x%02x", (unsigned char)*text);
	}
}

const char *text_word(const char *text, char *buf, size_t size)
{
	size_t used = 0;

	for (; *text && used + sizeof("\\x20") <= size; text++) {
		if (*text > 0x20 && *text < 0x7f && *text != '\\')
			buf[used++] = *text;
		else
			used += snprintf(buf + used, size - used, "\\x%02x", (unsigned char)*text);
	}
	if (!used)
		buf[used++] = '-';
	buf[used] = '\0';
	return buf;
}

char *text_utf8(const char *text)
{
	char *copy = malloc(strlen(text) * strlen(REPLACEMENT) + 1), *to = copy;
	size_t len;

	for (; copy && *text; text += len) {
		len = utf8_length(text);
		if (len && !(is_control(text, len) && (unsigned char)*text >= 0x7f)) {
			memcpy(to, text, len);
			to += len;
			continue;
		}
		to = stpcpy(to, REPLACEMENT);
		len += !len;
	}
	if (copy)
		*to = '\0';
	return copy;
}
