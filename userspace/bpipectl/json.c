// SPDX-License-Identifier: GPL-2.0
#include <json-c/json.h>
#include <stdio.h>

#include "fields.h"

/* Numbers are exact, in the unit of the field, and words are words. */
static struct json_object *json_field(const struct field *field, const struct channel *ch)
{
	char buf[FIELD_TEXT_MAX];

	switch (field->kind) {
	case FIELD_NAME:
	case FIELD_WORD:
		return json_object_new_string(field_format(field, ch, true, buf));
	case FIELD_BOOL:
		return json_object_new_boolean(field_value(field, ch));
	default:
		return json_object_new_uint64(field_value(field, ch));
	}
}

static void print_and_put(struct json_object *root)
{
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED));
	json_object_put(root);
}

void json_print(const struct channels *all, const struct columns *chosen)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_object_new_array();
	const struct field *const *field;
	struct json_object *object;
	struct columns columns;
	size_t i;

	if (chosen)
		columns = *chosen;
	else
		columns_choose(&columns, NULL, true);
	for (i = 0; i < all->nr; i++) {
		object = json_object_new_object();
		for (field = columns.at; *field; field++)
			json_object_object_add(object, (*field)->name,
					       json_field(*field, &all->at[i]));
		json_object_array_add(array, object);
	}
	json_object_object_add(root, "channels", array);
	print_and_put(root);
}

void json_print_versions(const char *bpipectl, const char *module)
{
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "bpipectl", json_object_new_string(bpipectl));
	json_object_object_add(root, "module", module ? json_object_new_string(module) : NULL);
	print_and_put(root);
}
