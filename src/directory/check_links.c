/* How transports protect their links, and what of the accept table is not looked at. (Who may
 * relay, and log in: route/relay_warn.c.) */
#include "directory/check_inner.h"

static void warn(struct checker *c, const struct object *object, const char *text)
{
	check_about(c, object);
	buf_add_str(&c->text, text);
	check_tell(c, CHECK_WARNING);
}

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

void check_accept(struct checker *c)
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
	check_next_kind(c);
}
