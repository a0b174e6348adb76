/*
 * How long a client's hello may be. OpenSSL takes 128 KiB, and has the room ready as soon as the
 * first bytes name such a length: for a stranger, from whom nothing else has come. So its length
 * is looked at before OpenSSL sees it. All other messages of a client are bounded by OpenSSL.
 */
#include "io/tls_impl.h"

#include "base/check.h"

#define RECORD_HEADER	 5    /* type, version, length: RFC 8446 section 5.1 */
#define MESSAGE_HEADER	 4    /* type, length: section 4 */
#define VERSION_2_HEADER 0x80 /* of the first byte of a hello of SSL 2, which OpenSSL bounds */

static uint32_t number_of(const uint8_t *p, size_t n)
{
	uint32_t number = 0;

	for (size_t i = 0; i < n; i++)
		number = number << 8 | p[i];
	return number;
}

/* Bytes of handshake messages; one may lie in many records, and a record bear many. */
static bool messages(struct tls_hello *hello, const char *p, size_t n)
{
	while (n) {
		if (hello->message_left) {
			size_t take = MIN(n, hello->message_left);
			hello->message_left -= (uint32_t)take;
			p += take;
			n -= take;
			continue;
		}
		hello->message[hello->message_n++] = (uint8_t)*p++;
		n--;
		if (hello->message_n < MESSAGE_HEADER)
			continue;
		hello->message_n = 0;
		hello->begun = true;
		hello->message_left = number_of(hello->message + 1, MESSAGE_HEADER - 1);
		if (hello->message[0] == SSL3_MT_CLIENT_HELLO &&
			hello->message_left > TLS_HELLO_BYTES)
			return false;
	}
	return true;
}

/* OpenSSL asks for the next record when it has answered the hello. In 1.3 there may be another one
 * then (section 4.1.4), and all that is encrypted is of another type; in 1.2 it is not. */
static void record_begins(const struct tls_link *link, struct tls_hello *hello)
{
	bool whole = hello->begun && hello->message_n == 0 && hello->message_left == 0;

	hello->record_n = 0;
	hello->record_left = (uint16_t)number_of(hello->record + 3, 2);
	hello->over = (hello->record[0] & VERSION_2_HEADER) ||
		      (whole && SSL_version(link->ssl) != TLS1_3_VERSION);
}

bool tls_hello_fits(struct tls_link *link, const char *p, size_t n)
{
	struct tls_hello *hello = &link->hello;

	while (n && !hello->over) {
		if (hello->record_left == 0) {
			hello->record[hello->record_n++] = (uint8_t)*p++;
			n--;
			if (hello->record_n == RECORD_HEADER)
				record_begins(link, hello);
			continue;
		}
		size_t take = MIN(n, hello->record_left);
		if (hello->record[0] == SSL3_RT_HANDSHAKE && !messages(hello, p, take)) {
			link->found = TLS_HANDSHAKE;
			link->why = "the client's hello is too long";
			return false;
		}
		hello->record_left -= (uint16_t)take;
		p += take;
		n -= take;
	}
	return true;
}
