// SPDX-License-Identifier: GPL-2.0
/*
 * Owner, group and permissions of a channel's node, as devtmpfs creates it and as uevents
 * report them to udev.
 */
#define _GNU_SOURCE
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "bpipe_test.h"

#define NODE_SYSFS	"/sys/class/bpipe/bpipe-t/"

static const unsigned long long node_bits =
	BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS;

FIXTURE(node) {
	int control;
	int uevents;
};

FIXTURE_SETUP(node)
{
	self->control = open(CONTROL, O_RDWR);
	ASSERT_LE(0, self->control);
	self->uevents = uevents_open();
}

FIXTURE_TEARDOWN(node)
{
	EXPECT_EQ(0, remove_channel(self->control, "t"));
}

/* Add the channel with these settings of its node. */
static int add_node(int control, unsigned int uid, unsigned int gid, unsigned int permissions)
{
	const struct bpipe_config config = {
		.mask = node_bits, .uid = uid, .gid = gid, .permissions = permissions,
	};

	return add_channel(control, "t", &config);
}

/* Return the text of a sysfs attribute without its newline, valid until the next call. */
static const char *attribute(const char *name)
{
	static char text[64];
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), NODE_SYSFS "%s", name);
	file = fopen(path, "r");
	if (!file || !fgets(text, sizeof(text), file))
		abort();
	fclose(file);
	text[strcspn(text, "\n")] = 0;
	return text;
}

/* Write a sysfs attribute; return 0 or -errno. */
static int set_attribute(const char *name, const char *value)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), NODE_SYSFS "%s", name);
	fd = open(path, O_WRONLY);
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static mode_t permissions_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_mode;
}

TEST_F(node, node_gets_owner_group_and_permissions)
{
	struct bpipe_config config;
	struct stat st;
	int fd;

	ASSERT_EQ(0, add_node(self->control, 1234, 5678, 0640));
	ASSERT_EQ(0, stat("/dev/bpipe-t", &st));
	EXPECT_EQ(1234, st.st_uid);
	EXPECT_EQ(5678, st.st_gid);
	EXPECT_EQ(S_IFCHR | 0640, st.st_mode);
	fd = open("/dev/bpipe-t", O_ACCMODE);
	config = get_config(fd);
	close(fd);
	EXPECT_EQ(1234, config.uid);
	EXPECT_EQ(5678, config.gid);
	EXPECT_EQ(0640, config.permissions);
	EXPECT_STREQ("1234", attribute("uid"));
	EXPECT_STREQ("5678", attribute("gid"));
	EXPECT_STREQ("0640", attribute("permissions"));
}

TEST_F(node, node_belongs_to_root_by_default)
{
	struct stat st;

	ASSERT_EQ(0, add_channel(self->control, "t", NULL));
	ASSERT_EQ(0, stat("/dev/bpipe-t", &st));
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(S_IFCHR | 0660, st.st_mode);
	EXPECT_STREQ("-1", attribute("uid"));
	EXPECT_STREQ("-1", attribute("gid"));
	EXPECT_STREQ("-1", attribute("permissions"));
}

TEST_F(node, permissions_may_be_zero)
{
	ASSERT_EQ(0, add_node(self->control, 1234, 5678, 0));
	EXPECT_EQ(S_IFCHR, permissions_of("/dev/bpipe-t"));
}

TEST_F(node, each_uevent_has_the_settings)
{
	const struct bpipe_config overload = { .mask = BPIPE_CFG_OVERLOAD_AFTER,
					       .overload_after = 1 };
	char text[4096];
	int fd;

	/* Try ids of 0, too, which the driver core's own variables omit. */
	ASSERT_EQ(0, add_node(self->control, 0, 0, 0604));
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nACTION=add\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_UID=0\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_GID=0\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_MODE=0604\n"));

	/* A change of state must not make udev reset the node. */
	fd = open("/dev/bpipe-t", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_config(fd, overload));
	while (put(fd, 65536) > 0)
		;
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_STATE=overloaded\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_UID=0\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_GID=0\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_MODE=0604\n"));
	close(fd);
}

TEST_F(node, uevents_omit_unset_settings)
{
	const struct bpipe_config config = { .mask = BPIPE_CFG_GID, .gid = 5678 };
	char text[4096];

	ASSERT_EQ(0, add_channel(self->control, "t", &config));
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_GID=5678\n"));
	EXPECT_EQ(NULL, strstr(text, "\nBPIPE_UID="));
	EXPECT_EQ(NULL, strstr(text, "\nBPIPE_MODE="));
}

TEST_F(node, changed_settings_send_a_uevent)
{
	struct bpipe_config set = { .mask = BPIPE_CFG_UID, .uid = 4321 };
	char text[4096];
	int fd;

	ASSERT_EQ(0, add_node(self->control, 1234, 5678, 0640));
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	fd = open("/dev/bpipe-t", O_ACCMODE);
	ASSERT_EQ(0, set_config(fd, set));
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nACTION=change\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_UID=4321\n"));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_GID=5678\n"));

	/* Let the udev rules decide again. */
	set.uid = BPIPE_UNSET;
	ASSERT_EQ(0, set_config(fd, set));
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	EXPECT_EQ(NULL, strstr(text, "\nBPIPE_UID="));

	/* Other settings send no uevent: the next one is for the permissions. */
	ASSERT_EQ(0, set_config(fd, (struct bpipe_config) { .mask = BPIPE_CFG_HOLD, .hold = 1 }));
	EXPECT_EQ(0, set_attribute("permissions", "0600\n"));
	ASSERT_LT(0, next_uevent(self->uevents, "bpipe-t", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nBPIPE_MODE=0600\n"));
	close(fd);
}

TEST_F(node, unprivileged_owner_may_not_change_these_settings)
{
	static const unsigned long long bits[] = {
		BPIPE_CFG_UID, BPIPE_CFG_GID, BPIPE_CFG_PERMISSIONS,
	};
	struct bpipe_config set = { .hold = 1, .permissions = 0666 };
	int fd;

	ASSERT_EQ(0, add_node(self->control, 65534, 65534, 0600));
	ASSERT_EQ(0, seteuid(65534));
	fd = open("/dev/bpipe-t", O_ACCMODE);
	ASSERT_LE(0, fd);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		set.mask = BPIPE_CFG_HOLD | bits[i];
		EXPECT_EQ(-EPERM, set_config(fd, set));
	}
	EXPECT_EQ(0, get_config(fd).hold);
	set.mask = BPIPE_CFG_HOLD;
	EXPECT_EQ(0, set_config(fd, set));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(0600, get_config(fd).permissions);
	close(fd);
}

TEST_F(node, settings_out_of_range_are_refused)
{
	const struct bpipe_config too_many = {
		.mask = BPIPE_CFG_PERMISSIONS, .permissions = 01000,
	};
	const struct bpipe_config padded = { .mask = BPIPE_CFG_UID, .pad3 = 1 };

	EXPECT_EQ(-EINVAL, add_channel(self->control, "t", &too_many));
	EXPECT_EQ(-EINVAL, add_channel(self->control, "t", &padded));
	ASSERT_EQ(0, add_node(self->control, 1, 2, 0640));
	EXPECT_EQ(-EINVAL, set_attribute("permissions", "1000"));
	EXPECT_EQ(-EINVAL, set_attribute("permissions", "0680"));
	EXPECT_EQ(-EINVAL, set_attribute("permissions", "-2"));
	EXPECT_EQ(-EINVAL, set_attribute("uid", "root"));
	EXPECT_EQ(-EINVAL, set_attribute("gid", "4K"));
	EXPECT_EQ(-ERANGE, set_attribute("gid", "4294967296"));
	EXPECT_STREQ("0640", attribute("permissions"));
	EXPECT_EQ(0, set_attribute("permissions", "-1\n"));
	EXPECT_STREQ("-1", attribute("permissions"));
	EXPECT_EQ(0, set_attribute("uid", "7\n"));
	EXPECT_STREQ("7", attribute("uid"));
}

TEST_HARNESS_MAIN
