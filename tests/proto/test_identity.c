/* SPDX-License-Identifier: MIT */
#include "proto/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

static char folder[] = "/tmp/sl-identity-XXXXXX";
static char path[64], public_path[64];
static struct sl_identity identity;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/id", folder);
	snprintf(public_path, sizeof(public_path), "%s/id.pub", folder);
	ck_assert_int_eq(sl_identity_generate(&identity, NULL), 0);
}

static void teardown(void)
{
	sl_identity_deinit(&identity);
	unlink(path);
	unlink(public_path);
	/* Fails, and the test with it, when anything else was left behind. */
	ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void read_file(const char *name, char *out, size_t size)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, out, size - 1);

	ck_assert_int_ge(n, 0);
	out[n] = '\0';
	close(fd);
}

START_TEST(a_key_comes_back_from_its_file)
{
	struct sl_identity back;
	struct stat st;

	ck_assert_int_eq(sl_identity_save(&identity, path, "me@here", NULL), 0);
	ck_assert_int_eq(sl_identity_load(path, &back, NULL), 0);
	ck_assert_mem_eq(&back, &identity, sizeof(back));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_int_eq(stat(public_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
}
END_TEST

START_TEST(the_public_file_is_a_line_for_authorized_keys)
{
	char text[256], expected[256], key[64];
	uint8_t back[SL_KEY_SIZE];

	ck_assert_int_eq(sl_identity_save(&identity, path, "me@here", NULL), 0);
	read_file(public_path, text, sizeof(text));
	sl_public_key_format(identity.public_key, key, sizeof(key));
	snprintf(expected, sizeof(expected), "%s me@here\n", key);
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(sl_public_key_parse(text, back, NULL), 0);
	ck_assert_mem_eq(back, identity.public_key, SL_KEY_SIZE);
}
END_TEST

START_TEST(a_comment_of_two_lines_is_refused)
{
	ck_assert_int_eq(sl_identity_save(&identity, path, "a\ned25519 b", NULL), SL_EINVALID);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(no_file_is_ever_written_over)
{
	char text[64];

	write_file("precious", 0600);
	ck_assert_int_eq(sl_identity_save(&identity, path, NULL, NULL), SL_EINVALID);
	read_file(path, text, sizeof(text));
	ck_assert_str_eq(text, "precious");
	ck_assert_int_ne(access(public_path, F_OK), 0);
}
END_TEST

START_TEST(a_public_file_that_exists_stops_the_secret_one)
{
	ck_assert_int_eq(symlink("nowhere", public_path), 0);
	ck_assert_int_eq(sl_identity_save(&identity, path, NULL, NULL), SL_EINVALID);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_file_that_others_can_read_is_refused)
{
	static const mode_t modes[] = {0604, 0640, 0602, 0660, 0601};
	struct sl_identity back;
	struct sl_error err;

	ck_assert_int_eq(sl_identity_save(&identity, path, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		ck_assert_int_eq(chmod(path, modes[i]), 0);
		ck_assert_int_eq(sl_identity_load(path, &back, &err), SL_EDENIED);
		ck_assert_ptr_nonnull(strstr(err.text, "chmod 600"));
	}
	ck_assert_int_eq(chmod(path, 0400), 0);
	ck_assert_int_eq(sl_identity_load(path, &back, NULL), 0);
}
END_TEST

START_TEST(a_missing_file_is_not_found)
{
	struct sl_identity back;

	ck_assert_int_eq(sl_identity_load(path, &back, NULL), SL_ENOT_FOUND);
}
END_TEST

START_TEST(a_pipe_is_no_key_file)
{
	struct sl_identity back;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(sl_identity_load(path, &back, NULL), SL_EINVALID);
}
END_TEST

START_TEST(other_files_are_refused)
{
	static const char *const bad[] = {"", "\n", "sloth-secret-ed25519", "ed25519 AAAA",
		"sloth-secret-ed25519 AAAA\n",
		"sloth-secret-ed25519AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"sloth-secret-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=x\n",
		"sloth-secret-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"};
	struct sl_identity back;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(bad[i], 0600);
		ck_assert_msg(sl_identity_load(path, &back, NULL) == SL_EINVALID, "%s", bad[i]);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(a_file_of_megabytes_is_refused)
{
	struct sl_identity back;

	write_file("sloth-secret-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0600);
	ck_assert_int_eq(sl_identity_load(path, &back, NULL), 0);
	ck_assert_int_eq(truncate(path, 1 << 20), 0);
	ck_assert_int_eq(sl_identity_load(path, &back, NULL), SL_EINVALID);
}
END_TEST

START_TEST(public_keys_are_read_as_people_paste_them)
{
	static const char *const good[] = {
		"ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"  ed25519\t AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= me@here and "
		"more\r\n"};
	static const char *const bad[] = {"", "ed25519", "ed25519 ", "ed25519 ====",
		("ssh-ed25519 "
		 "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		"ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"ed25519AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
	uint8_t key[SL_KEY_SIZE];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(sl_public_key_parse(good[i], key, NULL) == 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
			sl_public_key_parse(bad[i], key, NULL) == SL_EINVALID, "%s", bad[i]);
}
END_TEST

struct hello {
	struct sl_bytes name;
	uint8_t boot[SL_BOOT_ID_SIZE], agent_nonce[SL_NONCE_SIZE], own_nonce[SL_NONCE_SIZE];
	uint8_t sig[SL_SIGNATURE_SIZE];
};

static bool check(const struct hello *hello, const uint8_t key[SL_KEY_SIZE])
{
	return sl_identity_check_hello(key, hello->name, hello->boot, hello->agent_nonce,
		hello->own_nonce, hello->sig);
}

START_TEST(a_signature_stands_for_each_byte_that_was_signed)
{
	struct hello hello = {.name = sl_bytes_of("web-01"), .boot = {1}, .agent_nonce = {2}};
	struct hello other;
	struct sl_identity stranger;

	sl_identity_sign_hello(&identity, hello.name, hello.boot, hello.agent_nonce,
		hello.own_nonce, hello.sig);
	ck_assert(check(&hello, identity.public_key));

	other = hello;
	other.name = sl_bytes_of("web-02");
	ck_assert(!check(&other, identity.public_key));
	other = hello;
	other.boot[15] ^= 1;
	ck_assert(!check(&other, identity.public_key));
	other = hello;
	other.agent_nonce[31] ^= 1;
	ck_assert(!check(&other, identity.public_key));
	other = hello;
	other.own_nonce[31] ^= 1;
	ck_assert(!check(&other, identity.public_key));
	other = hello;
	other.sig[63] ^= 1;
	ck_assert(!check(&other, identity.public_key));
	ck_assert_int_eq(sl_identity_generate(&stranger, NULL), 0);
	ck_assert(!check(&hello, stranger.public_key));
}
END_TEST

START_TEST(deinit_wipes_the_secret)
{
	static const uint8_t zeros[sizeof(identity)];

	sl_identity_deinit(&identity);
	ck_assert_mem_eq(&identity, zeros, sizeof(zeros));
	sl_identity_deinit(NULL);
}
END_TEST

START_TEST(random_bytes_differ)
{
	uint8_t a[32] = {0}, b[32] = {0};

	sl_random(a, sizeof(a));
	sl_random(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

SL_CHECK_MAIN_WITH("identity", setup, teardown, a_key_comes_back_from_its_file,
	the_public_file_is_a_line_for_authorized_keys, a_comment_of_two_lines_is_refused,
	no_file_is_ever_written_over, a_public_file_that_exists_stops_the_secret_one,
	a_file_that_others_can_read_is_refused, a_missing_file_is_not_found,
	a_pipe_is_no_key_file, other_files_are_refused, a_file_of_megabytes_is_refused,
	public_keys_are_read_as_people_paste_them,
	a_signature_stands_for_each_byte_that_was_signed, deinit_wipes_the_secret,
	random_bytes_differ)
