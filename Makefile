# SPDX-License-Identifier: GPL-2.0
#
# make help says what there is.

VERSION := 0.1.0
KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
BUILD := build

CC ?= gcc
CFLAGS ?= -O2 -g
TOOLS_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -Imodule/uapi -Iuserspace/lib \
	-DBPIPE_VERSION='"$(VERSION)"' -MMD -MP
TOOLS := bpipe-load bpipectl
TOOL_LIBS := -ljson-c -lpthread

.PHONY: all module tools check lint setup load unload clean help

all: module tools

help:
	@echo 'make            build bpipe.ko for the running kernel, and the tools'
	@echo 'make module     the module alone (KDIR=... for another kernel'\''s headers)'
	@echo 'make tools      the tools alone, into $(BUILD)/bin'
	@echo 'make check      build all, check the style, run the tests in a virtual machine'
	@echo 'make load       insmod bpipe.ko; make unload: rmmod it'
	@echo 'make clean      remove what was built'

module:
	@test -e $(KDIR)/Makefile || { \
		echo 'bpipe: no headers for kernel $(shell uname -r) in $(KDIR)'; \
		echo 'bpipe: try: apt-get install linux-headers-$(shell uname -r)'; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

lib_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard userspace/lib/*.c))
objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard userspace/$(1)/*.c))

tools: $(TOOLS:%=$(BUILD)/bin/%)

$(BUILD)/obj/%.o: %.c
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

check:
	@tests/check

load:
	insmod bpipe.ko

unload:
	rmmod bpipe

clean:
	rm -rf $(BUILD)
	rm -f *.o *.ko *.mod *.mod.c .*.cmd modules.order Module.symvers \
		module/*.o module/.*.cmd
