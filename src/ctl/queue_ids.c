/* Ids of messages on the command line and on standard input. */
#include "ctl/queue.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS	   " \t\r\n"
#define WORD_SHOWN 80 /* bytes of what is no id */

bool is_id(const char *text)
{
	uint64_t id;

	return strlen(text) == TEXT_ID_LENGTH && !text_parse_id(span_str(text), &id);
}

/* What is no id may be no text either. */
static void add_bad(json_t *problems, struct span word)
{
	struct buf shown;

	buf_init(&shown, (size_t)5 * WORD_SHOWN);
	buf_add_escaped(&shown, word, WORD_SHOWN);
	json_array_append_new(problems, json_pack("{ss%, ss}", "id", shown.n ? shown.p : "",
						shown.n, "error", "no id (13 letters and digits)"));
	buf_done(&shown);
}

static struct span take_word(struct span *rest)
{
	while (rest->n && (!rest->p[0] || strchr(BLANKS, rest->p[0])))
		*rest = span_skip(*rest, 1);
	struct span word = span_of(rest->p, 0);
	while (word.n < rest->n && rest->p[word.n] && !strchr(BLANKS, rest->p[word.n]))
		word.n++;
	*rest = span_skip(*rest, word.n);
	return word;
}

static json_t *read_ids(const struct ctl *ctl, json_t *problems, int *code)
{
	size_t length;
	char *text = ctl_read_file(ctl, "-", &length);
	uint64_t id;

	if (!text) {
		*code = EXIT_REFUSED;
		return NULL;
	}
	json_t *ids = json_array();
	struct span rest = span_of(text, length), word;

	while ((word = take_word(&rest)).n) {
		if (word.n == TEXT_ID_LENGTH && !text_parse_id(word, &id))
			json_array_append_new(ids, json_pack("s%", word.p, word.n));
		else
			add_bad(problems, word);
	}
	free(text);
	return ids;
}

json_t *queue_ids(const struct ctl *ctl, int from, json_t *problems, int *code)
{
	*code = EXIT_DONE;
	if (ctl->count == from + 1 && strcmp(ctl->args[from], "-") == 0)
		return read_ids(ctl, problems, code);
	for (int i = from; i < ctl->count; i++)
		if (!is_id(ctl->args[i]))
			return NULL;
	json_t *ids = json_array();

	for (int i = from; i < ctl->count; i++)
		json_array_append_new(ids, json_string(ctl->args[i]));
	return ids;
}
