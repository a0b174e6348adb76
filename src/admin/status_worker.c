/* What a worker says of itself, as far as it is passed on: it talks to strangers all day, so only
 * the figures that there are, numbers and three words. */
#include "admin/core.h"

#include "base/check.h"
#include "smtpd/smtpd.h"

static void put_figure(struct json_write *out, const json_t *from, const char *key)
{
	const json_t *value = json_object_get(from, key);

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		json_put_u64(out, key, (uint64_t)json_integer_value(value));
}

static void put_figures(
	struct json_write *out, const json_t *from, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_figure(out, from, keys[i]);
}

static void put_refused(struct json_write *out, const json_t *refused)
{
	json_open_object(out, "refused");
	for (unsigned i = 0; i < SMTPD_REFUSALS; i++)
		put_figure(out, refused, smtpd_refusal_name(i));
	json_close_object(out);
}

static void put_health(struct json_write *out, const json_t *spool)
{
	static const char *const words[] = {"well", "full", "sick"};
	const char *value = json_string_value(json_object_get(spool, "health"));

	for (size_t i = 0; value && i < ARRAY_SIZE(words); i++)
		if (strcmp(value, words[i]) == 0)
			json_put_str(out, "health", words[i]);
}

bool status_put_worker(struct json_write *out, const char *name, struct span answer)
{
	static const char *const own[] = {"worker", "connections", "sessions", "messages",
		"recipients", "bytes", "tls", "tls_resumed", "logins"};
	static const char *const of_spool[] = {"syncs", "sync_ns", "batches", "bytes"};
	json_error_t error;
	json_t *json = answer.n ? json_loadb(answer.p, answer.n, 0, &error) : NULL;
	bool is_object = json_is_object(json);

	if (is_object) {
		const json_t *spool = json_object_get(json, "spool");

		json_open_object(out, name);
		put_figures(out, json, own, ARRAY_SIZE(own));
		put_refused(out, json_object_get(json, "refused"));
		if (json_is_object(spool)) {
			json_open_object(out, "spool");
			put_health(out, spool);
			put_figures(out, spool, of_spool, ARRAY_SIZE(of_spool));
			json_close_object(out);
		}
		json_close_object(out);
	}
	json_decref(json);
	return is_object;
}
