/*
 * Sessions of the client side, by the text that says what was asked of the server when they began.
 * The one that was not used for longest gives way.
 */
#include "io/tls_impl.h"

#include <stdlib.h>

struct kept {
	struct list node;
	SSL_SESSION *session;
	uint32_t hash;
	char key[];
};

static uint32_t hash_of(const char *key)
{
	uint32_t h = 2166136261u; /* FNV-1a: only shortens the walk */

	while (*key)
		h = (h ^ (unsigned char)*key++) * 16777619u;
	return h;
}

static void drop(struct tls_sessions *sessions, struct kept *one)
{
	list_remove(&one->node);
	sessions->count--;
	SSL_SESSION_free(one->session);
	free(one);
}

static struct kept *find(struct tls_sessions *sessions, const char *key)
{
	uint32_t hash = hash_of(key);

	LIST_FOR_EACH(node, &sessions->order)
	{
		struct kept *one = CONTAINER_OF(node, struct kept, node);
		if (one->hash == hash && strcmp(one->key, key) == 0)
			return one;
	}
	return NULL;
}

void tls_sessions_init(struct tls_sessions *sessions)
{
	list_init(&sessions->order);
	sessions->count = 0;
}

void tls_sessions_done(struct tls_sessions *sessions)
{
	LIST_FOR_EACH(node, &sessions->order)
	drop(sessions, CONTAINER_OF(node, struct kept, node));
}

bool tls_sessions_put(struct tls_sessions *sessions, const char *key, SSL_SESSION *session)
{
	struct kept *one = find(sessions, key);

	if (one)
		drop(sessions, one);
	else if (sessions->count >= TLS_SESSIONS)
		drop(sessions, CONTAINER_OF(sessions->order.prev, struct kept, node));
	size_t n = strlen(key) + 1;
	one = malloc(sizeof(*one) + n);
	if (!one)
		return false;
	*one = (struct kept){.session = session, .hash = hash_of(key)};
	memcpy(one->key, key, n);
	list_push_front(&sessions->order, &one->node);
	sessions->count++;
	return true;
}

SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions, const char *key)
{
	struct kept *one = find(sessions, key);

	if (!one)
		return NULL;
	SSL_SESSION *session = one->session;
	(void)SSL_SESSION_up_ref(session);
	/* RFC 8446 appendix C.4: whoever watches could tell who comes again by a ticket used
	 * twice. */
	if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) {
		drop(sessions, one);
	} else {
		list_remove(&one->node);
		list_push_front(&sessions->order, &one->node);
	}
	return session;
}
