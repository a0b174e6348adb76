/* What must hold of the protection of links, and of relay policies. */
#include "base/check.h"
#include "directory/config.h"
#include "directory/objects_validate.h"
#include "directory/range.h"

#include <stdlib.h>
#include <string.h>

/* ---- transports ----------------------------------------------------------------------------- */

/* Where no role can be told to read what it should not: folders that hold public certificates. */
static const char *const ca_folders[] = {CONFIG_CA_USUAL};

/* `folder` may have a "/" at its end. */
static bool is_below(struct span path, struct span folder)
{
	while (folder.n && folder.p[folder.n - 1] == '/')
		folder.n--;
	return path.n > folder.n + 1 && path.p[folder.n] == '/' &&
	       span_equal(span_of(path.p, folder.n), folder);
}

static bool is_in_ca_folder(const struct config *start, struct span path)
{
	struct span more = start->tls_ca_folders;

	for (size_t i = 0; i < ARRAY_SIZE(ca_folders); i++)
		if (is_below(path, span_str(ca_folders[i])))
			return true;
	while (more.n)
		if (is_below(path, schema_list_next(&more)))
			return true;
	return start->folder.n && is_below(path, start->folder);
}

/* From the root on, without "." and "..", which would lead out of the folders. */
static bool is_plain(struct span path)
{
	if (path.n == 0 || path.p[0] != '/')
		return false;
	while (path.n) {
		struct span name = span_skip(path, 1);
		name.n = span_find(name, '/');
		if (name.n == 0 || span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")))
			return false;
		path = span_skip(path, name.n + 1);
	}
	return true;
}

static void check_ca(struct validation *v, const struct object *object)
{
	const struct object_transport *t = object_transport(object);

	if (t->tls_ca.n == 0)
		return;
	if (t->tls != TLS_VERIFY && t->tls != TLS_MTA_STS) {
		validate_begin(v, object, "tls-ca");
		validate_end(v, "is for \"tls: verify\" and \"tls: mta-sts\" only; set that, or "
				"leave it out");
	} else if (!is_plain(t->tls_ca)) {
		validate_begin(v, object, "tls-ca");
		validate_end(v, "give the full path, which begins with \"/\" and has no \".\" and "
				"\"..\" in it");
	} else if (v->start && validate_is_new(v, object) &&
		   !is_in_ca_folder(v->start, t->tls_ca)) {
		validate_begin(v, object, "tls-ca");
		problem_quote(v->problems, t->tls_ca);
		validate_end(v, " lies where postern does not read: put the file below /etc/ssl, "
				"/usr/share/ca-certificates, /usr/local/share/ca-certificates or "
				"the folder of the start file, or name its folder in the start "
				"file's tls.ca-folders");
	}
}

static void check_sasl(struct validation *v, const struct object *object)
{
	const struct object_transport *t = object_transport(object);

	if (t->sasl_user.n && t->tls == TLS_NONE) {
		validate_begin(v, object, "sasl");
		validate_end(v, "a password is sent over TLS only; set tls, best to verify");
	}
	if (!validate_is_new(v, object))
		return;
	if (t->sasl_user.n && !t->sasl_secret.n) {
		validate_begin(v, object, "sasl");
		problem_say(v->problems, "there is no secret for the user ");
		problem_quote(v->problems, t->sasl_user);
		validate_end(v, "; give it as secret in the file, or to posternctl transport set "
				"with --secret");
	} else if (!t->sasl_user.n && t->sasl_secret.n) {
		validate_begin(v, object, "sasl");
		validate_end(v, "there is a secret and no user; give both");
	}
}

void validate_transport(struct validation *v, const struct object *object)
{
	const struct object_transport *t = object_transport(object);

	check_ca(v, object);
	check_sasl(v, object);
	if (t->tls_pin.n && t->tls != TLS_VERIFY) {
		validate_begin(v, object, "tls-pin");
		validate_end(v, "is for \"tls: verify\" only; set that, or leave it out");
	}
}

/* ---- relay policies ------------------------------------------------------------------------- */

static void check_ranges(struct validation *v, const struct object *object, const char *field)
{
	validate_begin(v, object, field);
	validate_end(v, "is for \"policy: addresses\" only; set that, or leave it out (on the "
			"command line: \"from= to=\" in the same command)");
}

static void refuse_listener(struct validation *v, const struct object *object)
{
	validate_begin(v, object, NULL);
	config_say_no_listener(v->start, v->problems->out);
	validate_end(v, "");
}

/* All of the Internet, by another name. */
static bool is_whole_family(const struct address_range *range)
{
	size_t n = range->first.family == NETADDR_V4 ? 4 : 16;

	for (size_t i = 0; i < n; i++)
		if (range->first.ip[i] != 0 || range->last.ip[i] != 0xff)
			return false;
	return true;
}

/* However it is cut into pieces. */
static bool holds_all(struct span list)
{
	struct address_range *ranges = calloc(OBJECTS_RANGES, sizeof(*ranges));
	uint32_t count = 0;
	bool all = !ranges && list.n; /* what cannot be looked at is not let pass */

	while (ranges && list.n && count < OBJECTS_RANGES)
		if (range_parse(schema_list_next(&list), &ranges[count], NULL) == 0)
			count++;
	if (ranges)
		count = range_merge(ranges, count);
	for (uint32_t i = 0; i < count; i++)
		all = all || is_whole_family(&ranges[i]);
	free(ranges);
	return all;
}

/* The field that makes it an open relay; NULL: it is none. */
static const char *opens(const struct object_relay *relay)
{
	if (relay->policy == RELAY_ANYONE)
		return "policy";
	if (relay->policy != RELAY_ADDRESSES)
		return NULL;
	return holds_all(relay->from) ? "from" : holds_all(relay->to) ? "to" : NULL;
}

static void check_listener(struct validation *v, const struct object *object)
{
	const struct config_listener *listener = config_find_listener(v->start, object->name);

	if (!listener) {
		refuse_listener(v, object);
	} else if (opens(object_relay(object)) && !listener->open_relay &&
		   config_is_reachable(listener)) {
		validate_begin(v, object, opens(object_relay(object)));
		validate_end(v, "anyone who reaches this listener could send mail to anybody by it "
				"(an open relay), and its address is not a loopback one; if that "
				"is meant, say \"open-relay: yes\" at the listener in the start "
				"file first");
	}
}

void validate_relay(struct validation *v, const struct object *object)
{
	const struct object_relay *relay = object_relay(object);

	/* The danger first. */
	if (v->start && validate_is_new(v, object))
		check_listener(v, object);
	if (relay->policy != RELAY_ADDRESSES && relay->from.n)
		check_ranges(v, object, "from");
	if (relay->policy != RELAY_ADDRESSES && relay->to.n)
		check_ranges(v, object, "to");
}
