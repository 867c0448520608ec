// SPDX-License-Identifier: GPL-2.0
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpipectl.h"
#include "fields.h"
#include "holders.h"
#include "text.h"

/* Return a field in JSON: an exact number in the unit of the field, or a word. */
static struct json_object *json_field(const struct field *field, const struct channel *ch)
{
	char buf[FIELD_TEXT_MAX];

	if (field_is_unset(field, ch))
		return NULL;
	switch (field->kind) {
	case FIELD_NAME:
	case FIELD_WORD:
	case FIELD_PERMISSIONS:
	case FIELD_ID:
		return json_object_new_string(field_format(field, ch, true, buf));
	case FIELD_BOOL:
		return json_object_new_boolean(field_value(field, ch));
	default:
		return json_object_new_uint64(field_value(field, ch));
	}
}

static struct json_object *json_reasons(const __u64 *numbers)
{
	struct json_object *object = json_object_new_object();

	const char *word;

	for (int i = 0; (word = bpipe_word(BPIPE_WORDS_DROP, i)); i++)
		json_object_object_add(object, word, json_object_new_uint64(numbers[i]));
	return object;
}

/* Return the counters of each class. In a stream, class 0 counts what is stored. */
static struct json_object *json_classes(const struct channel *ch)
{
	struct json_object *array = json_object_new_array();

	for (int i = 0; i < BPIPE_CLASSES; i++) {
		const struct bpipe_class_stats *class = &ch->stats.classes[i];
		struct json_object *object = json_object_new_object();
		const struct {
			const char *name;
			__u64 value;
		} numbers[] = {
			{ "class", i },
			{ "written_bytes", class->written_bytes },
			{ "written_records", class->written_records },
			{ "read_bytes", class->read_bytes },
			{ "read_records", class->read_records },
			{ "queued_bytes", class->queued_bytes },
			{ "queued_records", class->queued_records },
		};

		for (size_t n = 0; n < ARRAY_SIZE(numbers); n++)
			json_object_object_add(object, numbers[n].name,
					       json_object_new_uint64(numbers[n].value));
		json_object_object_add(object, "dropped_bytes", json_reasons(class->dropped_bytes));
		json_object_object_add(object, "dropped_records",
				       json_reasons(class->dropped_records));
		json_object_array_add(array, object);
	}
	return array;
}

/* Return the histogram of the sojourn times of records: a counter for each power of two. */
static struct json_object *json_sojourn(const struct channel *ch)
{
	struct json_object *array = json_object_new_array();

	for (int i = 0; i < BPIPE_SOJOURN_BUCKETS; i++) {
		struct json_object *object = json_object_new_object();
		bool last = i == BPIPE_SOJOURN_BUCKETS - 1;

		json_object_object_add(object, "below_ns",
				       last ? NULL : json_object_new_uint64(1024ULL << i));
		json_object_object_add(object, "records",
				       json_object_new_uint64(ch->stats.sojourn[i]));
		json_object_array_add(array, object);
	}
	return array;
}

/* Return the chosen fields; if @chosen is NULL, all fields, classes and sojourn times. */
static struct json_object *json_channel(const struct channel *ch, const struct columns *chosen)
{
	struct json_object *object = json_object_new_object();
	const struct field *const *field;
	struct columns columns;

	if (chosen)
		columns = *chosen;
	else
		columns_choose(&columns, NULL, true);
	for (field = columns.at; *field; field++)
		json_object_object_add(object, (*field)->name, json_field(*field, ch));
	if (!chosen) {
		json_object_object_add(object, "classes", json_classes(ch));
		json_object_object_add(object, "sojourn", json_sojourn(ch));
	}
	return object;
}

static void print_and_put(struct json_object *root, int flags)
{
	puts(checked((void *)json_object_to_json_string_ext(root, flags)));
	json_object_put(root);
}

#define PRETTY	(JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED)

/* Return a JSON string for text that may have any bytes. */
static struct json_object *json_text(const char *text)
{
	char *copy = checked(text_utf8(text));
	struct json_object *string = json_object_new_string(copy);

	free(copy);
	return string;
}

void json_print(const struct channels *all, const struct columns *chosen)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < all->nr; i++)
		json_object_array_add(array, json_channel(&all->at[i], chosen));
	json_object_object_add(root, "channels", array);
	print_and_put(root, PRETTY);
}

void json_print_line(const struct channel *ch, const char *time, uint64_t times)
{
	struct json_object *object = json_channel(ch, NULL);

	json_object_object_add(object, "time", json_object_new_string(time));
	json_object_object_add(object, "times", json_object_new_uint64(times));
	print_and_put(object, JSON_C_TO_STRING_PLAIN);
}

static struct json_object *json_holder(const struct holder *holder)
{
	const struct {
		const char *name;
		uint64_t value;
		bool is;
	} numbers[] = {
		{ "pid", holder->pid, true },
		{ "fd", holder->fd, true },
		{ "others", holder->others, true },
		{ "file", holder->file, true },
		{ "class", holder->class, holder->writes },
		{ "written_bytes", holder->written_bytes, holder->writes },
		{ "written_records", holder->written_records, holder->writes },
		{ "dropped_bytes", holder->dropped_bytes, holder->writes },
		{ "dropped_records", holder->dropped_records, holder->writes },
		{ "again", holder->again, holder->writes },
		{ "blocked_ns", holder->blocked_ns, holder->writes },
		{ "throttled_ns", holder->throttled_ns, holder->writes },
		{ "read_bytes", holder->read_bytes, holder->reads },
		{ "read_records", holder->read_records, holder->reads },
		{ "starved_ns", holder->starved_ns, holder->reads },
	};
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "channel", json_text(holder->channel));
	json_object_object_add(object, "command", json_text(holder->command));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i].is)
			json_object_object_add(object, numbers[i].name,
					       json_object_new_uint64(numbers[i].value));
	return object;
}

void json_print_holders(const struct holders *all)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < all->nr; i++)
		json_object_array_add(array, json_holder(&all->at[i]));
	json_object_object_add(root, "files", array);
	json_object_object_add(root, "hidden_processes", all->more_hidden ? NULL :
			       json_object_new_uint64(all->hidden));
	print_and_put(root, PRETTY);
}

void json_print_versions(const char *bpipectl, const char *commit, const char *module)
{
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "bpipectl", json_object_new_string(bpipectl));
	json_object_object_add(root, "commit", json_object_new_string(commit));
	json_object_object_add(root, "module", module ? json_text(module) : NULL);
	print_and_put(root, PRETTY);
}
