/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text that other people chose (names of processes, arguments, paths), made safe for
 * terminals, tables and JSON.
 */
#ifndef BPIPE_TEXT_H
#define BPIPE_TEXT_H

#include <stddef.h>
#include <stdio.h>

/*
 * Print @text as part of a message on one line: a control character, and a byte that is
 * not UTF-8, becomes \x1b.
 */
void text_print(FILE *to, const char *text);

/*
 * Make one word of printable ASCII: blanks, backslashes and all else become \x20. An
 * empty text becomes "-". Return @buf; TEXT_WORD_MAX(n) bytes hold a text of n.
 */
#define TEXT_WORD_MAX(n)	(4 * (n) + 2)
const char *text_word(const char *text, char *buf, size_t size);

/*
 * Return a copy that is valid UTF-8, to be freed, or NULL without memory. What is not
 * valid, and controls that JSON would print raw, become U+FFFD.
 */
char *text_utf8(const char *text);

#endif /* BPIPE_TEXT_H */
