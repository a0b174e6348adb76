/* A libunbound context: how it is set up, and its answers on the loop. */
#include "base/check.h"
#include "base/err.h"
#include "io/dns_context.h"

#include <stdlib.h>

#define SERVER_TEXT 80 /* bytes of "address@port" */
#define CLASS_IN    1

static const char *const options[][2] = {
	/* Servers on this machine are as good as others. */
	{"do-not-query-localhost:", "no"},
	/* A server that was away is asked again soon: mail waits for it. */
	{"infra-keep-probing:", "yes"},
	{"infra-host-ttl:", "60"},
	{"cache-max-ttl:", "3600"},
	{"cache-max-negative-ttl:", "60"},
	{"outgoing-range:", "64"},
	{"outgoing-num-tcp:", "16"},
	{"num-queries-per-thread:", "512"},
	/* RFC 9715: no fragments. */
	{"edns-buffer-size:", "1232"},
	/* The given servers are all that is asked. */
	{"qname-minimisation:", "no"},
	{"module-config:", "validator iterator"},
	/* What a signed zone says does not exist may be a zone of the inside: it is asked for, and
	 * its absence not made up from what is known of names around it (RFC 8198, RFC 8020). */
	{"aggressive-nsec:", "no"},
	{"harden-below-nxdomain:", "no"},
	/* Where there should be signatures, none is as bad as a wrong one. */
	{"harden-dnssec-stripped:", "yes"},
	{"val-permissive-mode:", "no"},
	{"val-bogus-ttl:", "60"},
	/* RFC 8145: nobody asked us to tell. */
	{"trust-anchor-signaling:", "no"},
};

static int err_from_ub(int ub_error)
{
	switch (ub_error) {
	case UB_NOERROR: return 0;
	case UB_NOMEM: return ERR_NOMEM;
	case UB_SYNTAX: return ERR_SYNTAX;
	default: return ERR_IO;
	}
}

static int set_server(struct ub_ctx *ub, const struct netaddr *a)
{
	struct buf text;
	int err;

	buf_init(&text, SERVER_TEXT);
	netaddr_add_ip(&text, a);
	buf_printf(&text, "@%u", a->port);
	buf_add_char(&text, '\0');
	err = buf_ok(&text) ? err_from_ub(ub_ctx_set_fwd(ub, text.p)) : ERR_NOMEM;
	buf_done(&text);
	return err;
}

static int set_anchors(const struct dns_anchors *anchors, bool from_root, struct ub_ctx *ub)
{
	int err = 0;

	for (uint32_t i = 0; i < anchors->count && !err; i++) {
		const struct dns_anchor *anchor = &anchors->list[i];

		if (anchor->kind == DNS_ANCHOR_INSECURE)
			err = err_from_ub(ub_ctx_set_option(ub, "domain-insecure:", anchor->text));
		else if (anchor->kind == DNS_ANCHOR_ZONE || from_root)
			err = err_from_ub(ub_ctx_add_ta(ub, anchor->text));
	}
	return err;
}

static int configure(const struct context *context, bool from_root, struct ub_ctx *ub)
{
	int err = 0;

	ub_ctx_debugout(ub, NULL); /* what goes wrong reaches us with the answer */
	for (size_t i = 0; i < ARRAY_SIZE(options) && err == 0; i++)
		err = err_from_ub(ub_ctx_set_option(ub, options[i][0], options[i][1]));
	if (err == 0)
		err = err_from_ub(ub_ctx_async(ub, 1));
	for (uint32_t i = 0; i < context->address_count && err == 0; i++)
		err = set_server(ub, &context->addresses[i]);
	if (err == 0)
		err = set_anchors(&context->all->anchors, from_root, ub);
	/* libunbound has an answer of its own for this top-level domain (RFC 6761), which
	 * laboratories use for what it is meant for. */
	if (err == 0)
		err = err_from_ub(ub_ctx_zone_add(ub, "test.", "transparent"));
	return err;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct engine *engine = poll->data;
	struct context *context = engine->context;
	struct unbound *all = context->all;

	(void)events;
	loop_wake(all->loop);
	if (status < 0)
		return;
	all->processing = engine;
	ub_process(engine->ub);
	all->processing = NULL;
	/* There is room for others now, and who is stale may be idle. */
	if (context->stale || !list_empty(&context->waiting) || !list_empty(&context->retired))
		context_touch(context);
}

static void poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static int watch(struct engine *engine)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	int err;

	if (!poll)
		return ERR_NOMEM;
	err = uv_poll_init(&engine->context->all->loop->uv, poll, ub_fd(engine->ub));
	if (err < 0) {
		free(poll);
		return err_from_uv(err);
	}
	poll->data = engine;
	/* Open questions keep the loop alive by their timer. */
	uv_unref((uv_handle_t *)poll);
	err = uv_poll_start(poll, UV_READABLE, on_readable);
	if (err < 0) {
		uv_close((uv_handle_t *)poll, poll_closed);
		return err_from_uv(err);
	}
	engine->poll = poll;
	return 0;
}

static void engine_free(struct engine *engine)
{
	CHECK(engine != engine->context->all->processing);
	list_remove(&engine->node);
	if (engine->poll)
		uv_close((uv_handle_t *)engine->poll, poll_closed);
	if (engine->ub)
		ub_ctx_delete(engine->ub); /* ends its thread */
	free(engine);
}

int engine_new(struct context *context, bool from_root, struct engine **out)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	int err;

	if (!engine)
		return ERR_NOMEM;
	engine->context = context;
	list_init(&engine->node);
	engine->ub = ub_ctx_create();
	err = engine->ub ? configure(context, from_root, engine->ub) : ERR_NOMEM;
	if (err == 0)
		err = watch(engine);
	if (err < 0) {
		engine_free(engine);
		return err;
	}
	*out = engine;
	return 0;
}

void engine_retire(struct engine **engine)
{
	if (*engine)
		list_push_back(&(*engine)->context->retired, &(*engine)->node);
	*engine = NULL;
}

void engines_free(struct context *context, bool all)
{
	LIST_FOR_EACH(node, &context->retired)
	{
		struct engine *engine = CONTAINER_OF(node, struct engine, node);

		if (all || !engine->open)
			engine_free(engine);
	}
}

int engine_ask(struct engine *engine, const char *name, int type, void *owner,
	ub_callback_type done, int *async_id)
{
	return ub_resolve_async(engine->ub, name, type, CLASS_IN, owner, done, async_id);
}
