#include "role/signer.h"

#include "base/check.h"
#include "base/err.h"
#include "keys/message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The loop's clock stands still while it is waited. */
static uint64_t clock_ms(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

static int send_question(struct signer *s, const struct keys_sign *sign)
{
	char memory[KEYS_SIGN_BYTES];
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	ssize_t n;

	keys_put_sign(&buf, sign);
	if (!buf_ok(&buf))
		return ERR_DENIED;
	struct iovec part = {buf.p, buf.n};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	do
		n = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EAGAIN ? ERR_TIMEOUT : ERR_CLOSED;
}

static int wait_for_bytes(struct signer *s, uint64_t until_ms)
{
	struct pollfd one = {.fd = s->fd, .events = POLLIN};

	for (;;) {
		uint64_t now = clock_ms();
		int n = poll(&one, 1, now < until_ms ? (int)(until_ms - now) : 0);
		if (n > 0)
			return 0;
		if (n == 0)
			return ERR_TIMEOUT;
		if (errno != EINTR)
			return ERR_IO;
	}
}

static int receive(struct signer *s, char *memory, size_t room, struct keys_signed *out)
{
	ssize_t n = recv(s->fd, memory, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ERR_AGAIN;
	if (n <= 0)
		return ERR_CLOSED;
	return keys_get_signed(span_of(memory, (size_t)n), out);
}

/* One that comes after its question was given up is passed over. */
static int wait_for_answer(struct signer *s, uint8_t out[TLS_SIGN_OUT], size_t *out_bytes)
{
	uint64_t until_ms = clock_ms() + SIGNER_MS;
	char memory[KEYS_SIGN_BYTES];
	struct keys_signed answer;
	int err;

	do {
		err = wait_for_bytes(s, until_ms);
		if (err)
			return err;
		err = receive(s, memory, sizeof(memory), &answer);
	} while (err == ERR_AGAIN || (err == 0 && answer.serial != s->serial));
	if (err)
		return err;
	if (!answer.done)
		return ERR_DENIED;
	memcpy(out, answer.signature.p, answer.signature.n);
	*out_bytes = answer.signature.n;
	return 0;
}

static int sign(struct tls_signer *base, uint32_t key, enum tls_signature kind, enum tls_hash hash,
	struct span in, uint8_t out[TLS_SIGN_OUT], size_t *out_bytes)
{
	struct signer *s = CONTAINER_OF(base, struct signer, base);
	const struct keys_sign question = {++s->serial, key, kind, hash, in};

	if (s->fd < 0)
		return ERR_IO;
	if (s->io->now_ns < s->rest_until_ns)
		return ERR_TIMEOUT;
	int err = send_question(s, &question);
	if (err == 0)
		err = wait_for_answer(s, out, out_bytes);
	if (err == ERR_TIMEOUT)
		s->rest_until_ns = s->io->now_ns + (SIGNER_MS + SIGNER_REST_MS) * NS_PER_MS;
	if (err == 0 || err == ERR_TIMEOUT || err == ERR_DENIED)
		return err;
	signer_close(s);
	return ERR_IO;
}

void signer_init(struct signer *s, struct io *io)
{
	*s = (struct signer){.base.sign = sign, .io = io, .fd = -1};
}

void signer_open(struct signer *s, int fd)
{
	signer_close(s);
	s->fd = fd;
	s->rest_until_ns = 0;
}

void signer_close(struct signer *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
