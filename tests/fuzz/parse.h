/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PARSE_H
#define PARSE_H

#include <stddef.h>
#include <stdint.h>

/* In a separate file, because both tools have a struct options. */
void parse_stream(const uint8_t *data, size_t size);

#endif
