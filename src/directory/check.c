#include "directory/check.h"

#include "base/check.h"
#include "base/text.h"
#include "directory/check_inner.h"

#include <stdlib.h>

#define PORT_PRIVILEGED 1024
#define HOPS_LEAST                                                                     \
	25 /* RFC 5321 section 6.3 asks for at least 100; below this, real routes fail \
	    */

void check_tell(struct checker *c, enum check_severity severity)
{
	if (++c->of_kind <= CHECK_FINDINGS_PER_KIND) {
		struct check_finding finding = {severity, buf_span(&c->about), buf_span(&c->text)};
		c->found(c->context, &finding);
	}
	buf_clear(&c->about);
	buf_clear(&c->text);
}

void check_next_kind(struct checker *c)
{
	uint32_t more =
		c->of_kind > CHECK_FINDINGS_PER_KIND ? c->of_kind - CHECK_FINDINGS_PER_KIND : 0;

	c->of_kind = 0;
	if (!more)
		return;
	buf_printf(&c->text, "and %u more of the kind", more);
	check_tell(c, CHECK_NOTE);
	c->of_kind = 0;
}

void check_about(struct checker *c, const struct object *object)
{
	buf_printf(&c->about, "%s ", object_kind_name(object->kind));
	buf_add_span(&c->about, object->name);
}

static void check_retry(struct checker *c, const struct object *object)
{
	const struct object_transport *t = object_transport(object);
	const struct retry_list *list = &t->retry_delay;
	uint64_t total = retry_total_s(list->steps, list->count, t->retry_count);

	if (total >= CHECK_RETRY_LEAST_S && total <= CHECK_RETRY_MOST_S)
		return;
	check_about(c, object);
	buf_add_str(&c->text, "gives up after ");
	retry_add_total(&c->text, list->steps, list->count, t->retry_count);
	buf_add_str(&c->text, total < CHECK_RETRY_LEAST_S
				      ? "; a short outage of the next hop loses mail to bounces, "
					"raise retry-count or retry-delay"
				      : "; senders learn late that their mail did not arrive, "
					"lower retry-count or retry-delay");
	check_tell(c, CHECK_WARNING);
}

static void check_transports(struct checker *c)
{
	size_t count = objects_count(c->objects, OBJECT_TRANSPORT);

	for (size_t i = 0; i < count; i++)
		check_retry(c, objects_at(c->objects, OBJECT_TRANSPORT, i));
	check_next_kind(c);
	for (size_t i = 0; i < count; i++) {
		const struct object *object = objects_at(c->objects, OBJECT_TRANSPORT, i);
		if (object_transport(object)->give_up != GIVE_UP_DISCARD)
			continue;
		check_about(c, object);
		buf_add_str(&c->text, "discards mail that it gives up, and its sender is not told; "
				      "set give-up=dsn unless that is meant");
		check_tell(c, CHECK_WARNING);
	}
	check_next_kind(c);
}

/* Where strangers' domains go by it, their DNS says which host of the own network gets a
 * connection. */
static void check_private(struct checker *c)
{
	struct span unserved = objects_default_transport(c->objects);

	for (size_t i = 0; i < objects_count(c->objects, OBJECT_TRANSPORT); i++) {
		const struct object *object = objects_at(c->objects, OBJECT_TRANSPORT, i);
		const struct object_transport *t = object_transport(object);

		if (!t->private_hosts)
			continue;
		check_about(c, object);
		if (t->server.host.n) {
			buf_add_str(&c->text, "has a fixed server, for which private-hosts says "
					      "nothing; leave it out");
			check_tell(c, CHECK_NOTE);
		} else if (span_equal(object->name, unserved)) {
			buf_add_str(&c->text,
				"is the default-transport, and private-hosts lets any stranger's "
				"domain lead mail to hosts of your network; keep that for a "
				"transport of your own domains");
			check_tell(c, CHECK_WARNING);
		} else {
			buf_clear(&c->about);
		}
	}
	check_next_kind(c);
}

/* Which of a kind are named by others: one walk over those, however many there are. */
static bool *marks_new(const struct checker *c, enum object_kind kind)
{
	return calloc(objects_count(c->objects, kind) + 1, sizeof(bool));
}

static void mark(const struct checker *c, bool *marks, enum object_kind kind, struct span name)
{
	bool found;
	size_t at = object_set_place(&c->objects->sets[kind], name, &found);

	if (found)
		marks[at] = true;
}

static void check_unused(struct checker *c)
{
	bool *used = marks_new(c, OBJECT_TRANSPORT);

	if (!used)
		return;
	mark(c, used, OBJECT_TRANSPORT, objects_default_transport(c->objects));
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_DOMAIN); i++)
		mark(c, used, OBJECT_TRANSPORT,
			object_domain(objects_at(c->objects, OBJECT_DOMAIN, i))->transport);
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_TRANSPORT); i++) {
		if (used[i])
			continue;
		check_about(c, objects_at(c->objects, OBJECT_TRANSPORT, i));
		buf_add_str(&c->text, "is used by no domain; give it to one, or remove it");
		check_tell(c, CHECK_NOTE);
	}
	free(used);
	check_next_kind(c);
}

/* The domains of accounts, or aliases. */
static void mark_domains(const struct checker *c, bool *marks, enum object_kind kind)
{
	for (size_t i = 0; i < objects_count(c->objects, kind); i++) {
		struct span name = objects_at(c->objects, kind, i)->name;
		mark(c, marks, OBJECT_DOMAIN, span_skip(name, span_find(name, '@') + 1));
	}
}

static void check_mailboxes(struct checker *c)
{
	bool *peopled = marks_new(c, OBJECT_DOMAIN);

	if (!peopled)
		return;
	mark_domains(c, peopled, OBJECT_ACCOUNT);
	mark_domains(c, peopled, OBJECT_ALIAS);
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_DOMAIN); i++) {
		const struct object *object = objects_at(c->objects, OBJECT_DOMAIN, i);
		if (!object_domain(object)->mailboxes || peopled[i])
			continue;
		check_about(c, object);
		buf_add_str(&c->text, "has mailboxes but no account: all its mail is refused; "
				      "add accounts, postmaster first");
		check_tell(c, CHECK_WARNING);
	}
	free(peopled);
	check_next_kind(c);
}

static void check_settings(struct checker *c)
{
	if (objects_default_transport(c->objects).n == 0) {
		buf_add_str(&c->about, "default-transport");
		buf_add_str(&c->text,
			"is not set: mail to domains that are not served here, bounces to "
			"other senders among it, cannot leave; set it, usually to a transport "
			"with server lookup-mx");
		check_tell(c, CHECK_WARNING);
	}
	if (objects_count(c->objects, OBJECT_DOMAIN) == 0) {
		buf_add_str(&c->about, "domains");
		buf_add_str(&c->text,
			"there is none: mail is taken from clients that may relay only; "
			"add the domains to serve");
		check_tell(c, CHECK_WARNING);
	}
	check_next_kind(c);
}

static void check_pauses(struct checker *c)
{
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_PAUSE); i++) {
		const struct object *pause = objects_at(c->objects, OBJECT_PAUSE, i);
		buf_add_str(&c->about, "pause ");
		buf_add_span(&c->about, pause->name);
		buf_add_str(&c->text, "mail waits since ");
		text_add_time(&c->text, object_pause(pause)->since_ms);
		buf_add_str(&c->text, "; resume it when the reason is gone");
		check_tell(c, CHECK_NOTE);
	}
	check_next_kind(c);
}

static void check_listeners(struct checker *c, bool as_root)
{
	const struct config *config = c->config;
	bool reachable = false;

	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		reachable = reachable || config_is_reachable(listener);
		if (as_root || listener->address.port >= PORT_PRIVILEGED)
			continue;
		buf_add_str(&c->about, "listeners.");
		buf_add_span(&c->about, listener->name);
		buf_printf(&c->text,
			"port %u needs root or CAP_NET_BIND_SERVICE; start posternd so, or choose "
			"a port from %d on",
			listener->address.port, PORT_PRIVILEGED);
		check_tell(c, CHECK_WARNING);
	}
	if (!reachable) {
		buf_add_str(&c->about, "listeners");
		buf_add_str(&c->text,
			"all are on loopback addresses: other hosts cannot hand in mail; "
			"add one on an outside address when that is wanted");
		check_tell(c, CHECK_NOTE);
	}
	check_next_kind(c);
}

static void check_config(struct checker *c, bool as_root)
{
	const struct config *config = c->config;

	check_listeners(c, as_root);
	if (config->sandbox == CONFIG_SANDBOX_OFF) {
		buf_add_str(&c->about, "sandbox");
		buf_add_str(&c->text,
			"is off: a flaw in one role reaches all that its user may do; "
			"set it to required");
		check_tell(c, CHECK_WARNING);
	}
	if (config->limits.hops < HOPS_LEAST) {
		buf_add_str(&c->about, "limits.hops");
		buf_printf(&c->text, "%u is less than some good mail needs; give at least %d",
			config->limits.hops, HOPS_LEAST);
		check_tell(c, CHECK_WARNING);
	}
	check_next_kind(c);
}

void check_all(const struct config *config, const struct objects *objects, bool as_root,
	void (*found)(void *context, const struct check_finding *finding), void *context)
{
	struct checker c = {
		.config = config, .objects = objects, .found = found, .context = context};

	buf_init(&c.about, CHECK_TEXT_BYTES);
	buf_init(&c.text, CHECK_TEXT_BYTES);
	if (config)
		check_config(&c, as_root);
	if (objects) {
		check_settings(&c);
		check_postmaster(config, objects, found, context);
		check_transports(&c);
		check_private(&c);
		check_links(&c);
		check_unused(&c);
		check_mailboxes(&c);
	}
	if (objects) {
		check_accept(&c);
		check_pauses(&c);
	}
	buf_done(&c.about);
	buf_done(&c.text);
}

const char *check_severity_name(enum check_severity severity)
{
	static const char *const names[] = {
		[CHECK_NOTE] = "note", [CHECK_WARNING] = "warning", [CHECK_ERROR] = "error"};

	return names[severity];
}
