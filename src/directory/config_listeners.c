/* What the fields of the start file's listeners mean together. */
#include "base/check.h"
#include "base/err.h"
#include "directory/config_inner.h"
#include "directory/names.h"

#include <string.h>

#define PORT_SUBMISSIONS 465 /* RFC 8314 section 3.3 */

const struct config_listener *config_find_listener(const struct config *config, struct span name)
{
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (span_equal(config->listeners[i].name, name))
			return &config->listeners[i];
	return NULL;
}

void config_say_no_listener(const struct config *config, struct buf *out)
{
	buf_add_str(out, "the start file has no such listener; it has: ");
	for (uint32_t i = 0; i < config->listener_count; i++) {
		buf_add_str(out, i ? ", " : "");
		buf_add_span(out, config->listeners[i].name);
	}
}

bool config_is_reachable(const struct config_listener *listener)
{
	return !netaddr_is_loopback(&listener->address);
}

static int check_addresses(
	const struct config *config, const struct node *root, struct problems *problems)
{
	const struct path listeners = {NULL, SPAN("listeners")};
	const struct node *node = node_get(root, "listeners");
	int err = 0;

	node = node ? node->first : NULL;
	for (uint32_t i = 0; i < config->listener_count; i++, node = node ? node->next : NULL) {
		const struct config_listener *listener = &config->listeners[i];
		struct path path = {&listeners, listener->name};
		struct place at = node ? node->key_at : (struct place){0};
		if (!name_is_transport(listener->name)) {
			problem_line(problems, at, &path,
				"is no name for a listener; use at most 63 of a-z, 0-9, \".\", "
				"\"_\" and \"-\"");
			err = ERR_SYNTAX;
		}
		for (uint32_t k = 0; k < i; k++) {
			const struct config_listener *other = &config->listeners[k];
			if (!netaddr_same_ip(&listener->address, &other->address) ||
				listener->address.port != other->address.port)
				continue;
			problem_begin(problems, at, &path);
			problem_say(problems, "has the same address as ");
			problem_quote(problems, other->name);
			problem_say(problems, "; give each its own");
			problem_end(problems);
			err = ERR_SYNTAX;
		}
	}
	return err;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

/* A part of a listener while its fields are looked at. */
struct part {
	const struct node *node; /* the mapping; NULL: it is not given */
	struct place at;	 /* of the listener */
	const struct path *path;
	struct problems *problems;
};

static int refuse(const struct part *part, const char *field, const char *text)
{
	const struct node *value = node_get(part->node, field);

	problem_line(part->problems, value ? value->at : part->at,
		&(struct path){part->path, span_str(field)}, text);
	return ERR_SYNTAX;
}

static int check_pair(const struct part *part, struct span certificate, struct span key)
{
	if (certificate.n && !key.n)
		return refuse(part, "certificate", "needs its private key; give key, too");
	if (key.n && !certificate.n)
		return refuse(part, "key", "needs its certificate; give certificate, too");
	return 0;
}

/* "mail.b.example", "*.b.example"; in the form in which names are compared. */
static int finish_name(const struct part *part, struct config_sni *sni, struct arena *arena)
{
	bool wild = sni->name.n > 2 && sni->name.p[0] == '*' && sni->name.p[1] == '.';
	struct span domain, rest = wild ? span_skip(sni->name, 2) : sni->name;

	int err = name_domain(rest, arena, &domain);
	if (err == ERR_NOMEM)
		return err;
	if (err < 0) {
		problem_line(part->problems, part->at, part->path,
			"is no host name; give one such as mail.b.example, or *.b.example");
		return ERR_SYNTAX;
	}
	if (!wild) {
		sni->name = domain;
		return 0;
	}
	char *whole = arena_alloc(arena, domain.n + 3);
	if (!whole)
		return ERR_NOMEM;
	memcpy(whole, "*.", 2);
	memcpy(whole + 2, domain.p, domain.n);
	sni->name = span_of(whole, domain.n + 2);
	return 0;
}

static int finish_names(const struct part *tls, struct config_tls *out, struct arena *arena)
{
	const struct path names = {tls->path, SPAN("names")};
	const struct node *node = node_get(tls->node, "names");
	int worst = 0;

	node = node ? node->first : NULL;
	for (uint32_t i = 0; i < out->name_count; i++, node = node ? node->next : NULL) {
		struct config_sni *sni = &out->names[i];
		struct path path = {&names, sni->name};
		struct part part = {node, node ? node->key_at : tls->at, &path, tls->problems};
		int err = finish_name(&part, sni, arena);
		if (err == 0)
			err = check_pair(&part, sni->certificate, sni->key);
		if (err == 0 && !sni->certificate.n) {
			problem_line(tls->problems, part.at, &path, "give its certificate and key");
			err = ERR_SYNTAX;
		}
		for (uint32_t k = 0; k < i && err == 0; k++)
			if (span_equal(out->names[k].name, sni->name)) {
				problem_line(tls->problems, part.at, &path,
					"is here twice, in two spellings; keep one");
				err = ERR_SYNTAX;
			}
		if (err < 0)
			worst = err;
	}
	return worst;
}

/* What would be without effect is more likely a mistake. */
static int check_without(const struct part *part, const struct config_tls *tls)
{
	static const char text[] = "means nothing without a certificate; give certificate and key";
	int err = 0;

	if (tls->certificate.n)
		return 0;
	if (node_get(part->node, "mode"))
		err = refuse(part, "mode", text);
	if (tls->name_count)
		err = refuse(part, "names", text);
	if (tls->client_ca.n)
		err = refuse(part, "client-ca", text);
	return err;
}

static int finish_tls(
	const struct part *part, struct config_listener *listener, struct arena *arena)
{
	struct config_tls *tls = &listener->tls;

	int err = check_pair(part, tls->certificate, tls->key);
	if (err == 0)
		err = check_without(part, tls);
	int names = finish_names(part, tls, arena);
	if (!node_get(part->node, "mode") && tls->certificate.n &&
		listener->address.port == PORT_SUBMISSIONS)
		tls->mode = CONFIG_TLS_IMPLICIT;
	return err ? err : names;
}

int config_finish_listeners(struct config *config, const struct node *root, struct arena *arena,
	struct problems *problems)
{
	const struct path listeners = {NULL, SPAN("listeners")};
	const struct node *node = node_get(root, "listeners");
	int worst = check_addresses(config, root, problems);

	node = node ? node->first : NULL;
	for (uint32_t i = 0; i < config->listener_count; i++, node = node ? node->next : NULL) {
		struct path path = {&listeners, config->listeners[i].name};
		struct path tls = {&path, SPAN("tls")};
		struct part part = {node_get(node, "tls"), node ? node->key_at : (struct place){0},
			&tls, problems};
		int err = finish_tls(&part, &config->listeners[i], arena);
		if (err < 0)
			worst = err;
	}
	return worst;
}
