/* Who may relay, and log in, on which listener: what an administrator should know of it. */
#include "base/err.h"
#include "directory/check_inner.h"
#include "directory/range.h"

/* ---- the start file ------------------------------------------------------------------------- */

static void about_listener(struct checker *c, const struct config_listener *listener)
{
	buf_add_str(&c->about, "listeners.");
	buf_add_span(&c->about, listener->name);
}

static void check_listener(struct checker *c, const struct config_listener *listener)
{
	if (!config_is_reachable(listener))
		return;
	if (listener->open_relay) {
		about_listener(c, listener);
		buf_add_str(&c->text,
			"open-relay allows the relay policy anyone here: whoever reaches it could "
			"send mail to anybody; leave it out unless that is meant");
		check_tell(c, CHECK_WARNING);
	}
	if (listener->auth_without_tls) {
		about_listener(c, listener);
		buf_add_str(&c->text,
			"auth-without-tls lets passwords cross the network in clear; give it a "
			"certificate and leave auth-without-tls out");
		check_tell(c, CHECK_WARNING);
	}
}

/* ---- relay policies ------------------------------------------------------------------------- */

static void warn(struct checker *c, const struct object *object, const char *text)
{
	check_about(c, object);
	buf_add_str(&c->text, text);
	check_tell(c, CHECK_WARNING);
}

static void check_policy(
	struct checker *c, const struct object *object, const struct config_listener *listener)
{
	const struct object_relay *relay = object_relay(object);

	switch (relay->policy) {
	case RELAY_LOCAL_HOSTS:
		warn(c, object,
			"policy local-hosts can be forged: whoever claims a sender at a domain of "
			"yours may relay; set addresses, or none and let people log in");
		break;
	case RELAY_LOCAL_USERS:
		warn(c, object,
			"policy local-users can be forged: whoever claims to be an account of "
			"yours may relay; set addresses, or none and let people log in");
		break;
	case RELAY_ANYONE:
		if (listener && config_is_reachable(listener) && !listener->open_relay)
			warn(c, object,
				"policy anyone needs open-relay at the listener in the start file; "
				"without it, nobody may relay by it: set another policy");
		else
			warn(c, object,
				"policy anyone is an open relay: whoever reaches it may send mail "
				"to anybody; set another policy unless that is meant");
		break;
	default: break;
	}
}

/* More than 16 million addresses, or more than a provider has of version 6. */
static bool is_wide(struct span text)
{
	struct address_range range;

	if (range_parse(text, &range, NULL) < 0)
		return false;
	return range.first.ip[0] != range.last.ip[0] ||
	       (range.first.family == NETADDR_V6 && range.first.ip[1] != range.last.ip[1]);
}

static void check_wide(
	struct checker *c, const struct object *object, const char *field, struct span list)
{
	while (list.n) {
		struct span item = schema_list_next(&list);
		if (!is_wide(item))
			continue;
		check_about(c, object);
		buf_printf(&c->text, "%s ", field);
		buf_add_span(&c->text, item);
		buf_add_str(&c->text, " is a great part of the Internet: for it, this is an open "
				      "relay; name only networks that you know");
		check_tell(c, CHECK_WARNING);
	}
}

static void check_addresses(struct checker *c, const struct object *object)
{
	const struct object_relay *relay = object_relay(object);

	if (relay->policy == RELAY_ADDRESSES && !relay->from.n && !relay->to.n)
		warn(c, object,
			"policy addresses without from and to relays for no address; give "
			"them, or set none");
	check_wide(c, object, "from", relay->from);
	check_wide(c, object, "to", relay->to);
}

/* Where nobody but who logged in may relay: can anybody log in? */
static void check_login(
	struct checker *c, const struct object *object, const struct config_listener *listener)
{
	const struct object_relay *relay = object_relay(object);
	bool others = relay->policy != RELAY_NONE || (listener && listener->tls.client_ca.n);

	if (!others && !relay->advertise_auth)
		warn(c, object,
			"policy none with advertise-auth off locks out everybody but clients that "
			"log in unasked; turn advertise-auth on, or say by policy who may relay");
	else if (!others && listener && !listener->tls.certificate.n && !listener->auth_without_tls)
		warn(c, object,
			"nobody can relay here: AUTH needs TLS, and the listener has no "
			"certificate in the start file");
}

static void check_one(struct checker *c, const struct object *object)
{
	const struct config_listener *listener =
		c->config ? config_find_listener(c->config, object->name) : NULL;

	if (c->config && !listener) {
		warn(c, object,
			"the start file has no listener of this name; give it one, or remove this");
		return;
	}
	check_policy(c, object, listener);
	check_addresses(c, object);
	check_login(c, object, listener);
	if (listener && object_relay(object)->certificates.n && !listener->tls.client_ca.n)
		warn(c, object,
			"certificates mean nothing while the listener has no client-ca in the "
			"start file: clients are not asked for one");
}

static void check_accept(struct checker *c)
{
	const struct object_accept *accept = objects_accept(c->objects);
	bool hosts = false, users = false;

	for (size_t i = 0; i < objects_count(c->objects, OBJECT_RELAY); i++) {
		int policy = object_relay(objects_at(c->objects, OBJECT_RELAY, i))->policy;
		hosts = hosts || policy == RELAY_LOCAL_HOSTS;
		users = users || policy == RELAY_LOCAL_USERS;
	}
	if (accept && ((accept->hosts.n && !hosts) || (accept->users.n && !users))) {
		buf_add_str(&c->about, "accept");
		buf_printf(&c->text, "%s are not looked at: no listener has the relay policy %s",
			accept->hosts.n && !hosts ? "hosts" : "users",
			accept->hosts.n && !hosts ? "local-hosts" : "local-users");
		check_tell(c, CHECK_NOTE);
	}
}

void check_relays(struct checker *c)
{
	for (uint32_t i = 0; c->config && i < c->config->listener_count; i++)
		check_listener(c, &c->config->listeners[i]);
	check_next_kind(c);
	if (!c->objects)
		return;
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_RELAY); i++)
		check_one(c, objects_at(c->objects, OBJECT_RELAY, i));
	check_next_kind(c);
	check_accept(c);
	check_next_kind(c);
}

void check_relay(const struct config *config, const struct objects *objects,
	void (*found)(void *context, const struct check_finding *finding), void *context)
{
	struct checker c = {
		.config = config, .objects = objects, .found = found, .context = context};

	buf_init(&c.about, CHECK_TEXT_BYTES);
	buf_init(&c.text, CHECK_TEXT_BYTES);
	check_relays(&c);
	buf_done(&c.about);
	buf_done(&c.text);
}

/* ---- links ---------------------------------------------------------------------------------- */

void check_links(struct checker *c)
{
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_TRANSPORT); i++) {
		const struct object *object = objects_at(c->objects, OBJECT_TRANSPORT, i);
		const struct object_transport *t = object_transport(object);

		if (t->sasl_user.n && (t->tls == TLS_OPPORTUNISTIC || t->tls == TLS_REQUIRE))
			warn(c, object,
				"gives its password to whoever answers in the next hop's place; "
				"set tls=verify");
	}
	check_next_kind(c);
	for (size_t i = 0; i < objects_count(c->objects, OBJECT_TRANSPORT); i++) {
		const struct object *object = objects_at(c->objects, OBJECT_TRANSPORT, i);
		const struct object_transport *t = object_transport(object);

		if (t->tls != TLS_VERIFY || t->server.host.n || t->tls_pin.n)
			continue;
		check_about(c, object);
		buf_add_str(&c->text,
			"verifies names that lookup-mx has from the DNS, and who forges that "
			"chooses them; dane and mta-sts are made for it");
		check_tell(c, CHECK_NOTE);
	}
	check_next_kind(c);
}
