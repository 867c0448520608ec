# SPDX-License-Identifier: GPL-2.0
#
# make help says what there is. Kbuild has what the module is made of.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
PREFIX ?= /usr/local
BUILD := build

CC ?= gcc
CFLAGS ?= -O2 -g
TOOLS_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -Imodule/uapi -Iuserspace/lib \
	-DBPIPE_VERSION='"$(VERSION)"' -MMD -MP
TOOLS := bpipe-load bpipectl
TOOL_LIBS := -ljson-c -lpthread

# A kernel built by clang takes only modules built by clang.
kernel_llvm = $(if $(shell grep -s '^CONFIG_CC_IS_CLANG=y' $(KDIR)/.config $(KDIR)/include/config/auto.conf),LLVM=1)

.PHONY: all module tools demo check check-full lint install uninstall dkms load unload clean help

all: module tools

help:
	@echo 'make            build bpipe.ko for the running kernel, and the tools'
	@echo 'make demo       see it work, in a virtual machine'
	@echo 'make check      check the style, run the tests in virtual machines'
	@echo 'make check-full all tests, on kernels that catch more, and others; an hour'
	@echo 'make lint       check the style'
	@echo
	@echo 'make module     bpipe.ko alone (KVER=... or KDIR=... for another kernel)'
	@echo 'make tools      bpipectl and bpipe-load alone, into $(BUILD)/bin'
	@echo 'make load       insmod bpipe.ko; make unload: rmmod it'
	@echo 'make install    module, tools, manual pages and udev rule (PREFIX=$(PREFIX), DESTDIR=)'
	@echo 'make uninstall  remove them'
	@echo 'make dkms       have DKMS build the module for this kernel and those to come'
	@echo 'make clean      remove what was built'

module:
	@test -e $(KDIR)/Makefile || { \
		echo 'bpipe: no headers for kernel $(KVER) in $(KDIR)'; \
		echo 'bpipe: try: sudo apt-get install linux-headers-$(KVER)'; exit 1; } >&2
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(kernel_llvm) modules

lib_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard userspace/lib/*.c))
objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard userspace/$(1)/*.c))

tools: $(TOOLS:%=$(BUILD)/bin/%)

$(BUILD)/obj/%.o: %.c dkms.conf
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(TOOLS_CFLAGS) -c -o $@ $<

define tool
$(BUILD)/bin/$(1): $(call objects_of,$(1)) $(lib_objects)
	@mkdir -p $$(@D)
	$(CC) $(LDFLAGS) -o $$@ $$^ $(TOOL_LIBS)
-include $(patsubst %.o,%.d,$(call objects_of,$(1)))
endef
$(foreach t,$(TOOLS),$(eval $(call tool,$(t))))
-include $(lib_objects:.o=.d)

demo:
	@tests/demo/run

check:
	@tests/check

check-full:
	@tests/check full

lint:
	@tests/lint

load:
	insmod bpipe.ko

unload:
	rmmod bpipe

# Where things go, and from where: installed by the one list, removed by the same.
define installed
bin/bpipectl:$(BUILD)/bin
bin/bpipe-load:$(BUILD)/bin
include/linux/bpipe.h:module/uapi/linux
share/man/man1/bpipectl.1:userspace/man
share/man/man1/bpipe-load.1:userspace/man
share/man/man4/bpipe.4:userspace/man
share/bash-completion/completions/bpipectl:userspace/completion
lib/udev/rules.d/60-bpipe.rules:userspace/udev
lib/systemd/system/bpipe-monitor@.service:userspace/systemd
lib/sysusers.d/bpipe.conf:userspace/udev
endef
target_of = $(DESTDIR)$(PREFIX)/$(firstword $(subst :, ,$(1)))
source_of = $(lastword $(subst :, ,$(1)))/$(notdir $(target_of))

install: all
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) \
		INSTALL_MOD_DIR=updates modules_install
	$(if $(DESTDIR),,depmod $(KVER))
	$(foreach f,$(installed),$(call install_one,$(f)))
	$(if $(DESTDIR),,$(settle_udev))

define install_one
install -D -m $(if $(filter bin/%,$(1)),755,644) $(source_of) $(target_of)

endef

# The group, and the node's being in it, without a restart; where udev is.
settle_udev = -systemd-sysusers $(PREFIX)/lib/sysusers.d/bpipe.conf; \
	udevadm control --reload; udevadm trigger --subsystem-match=bpipe

uninstall:
	rm -f $(foreach f,$(installed),$(call target_of,$(f))) \
		$(DESTDIR)/lib/modules/$(KVER)/updates/bpipe.ko*
	$(if $(DESTDIR),,depmod $(KVER))

dkms:
	@command -v dkms > /dev/null || { echo 'bpipe: try: sudo apt-get install dkms' >&2; exit 1; }
	rm -rf /usr/src/bpipe-$(VERSION)
	mkdir -p /usr/src/bpipe-$(VERSION)
	cp -r Kbuild Makefile dkms.conf module /usr/src/bpipe-$(VERSION)
	dkms install -m bpipe -v $(VERSION) -k $(KVER) --force

clean:
	rm -rf $(BUILD)
	rm -f *.o *.ko *.mod *.mod.c .*.cmd modules.order Module.symvers .module-common.o \
		module/*.o module/.*.cmd
