# SPDX-License-Identifier: GPL-2.0
#
# Build, install and test bpipe; "make help" lists the targets. Kbuild lists the
# objects of the module.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
PREFIX ?= /usr/local
# Directories relative to PREFIX. A Debian package sets LIBDIR=lib/x86_64-linux-gnu and
# PYTHONDIR=lib/python3/dist-packages.
LIBDIR ?= lib
PYTHONDIR ?= $(eval PYTHONDIR := lib/python$(python_version)/dist-packages)$(PYTHONDIR)
python_version = $(if $(filter /usr,$(PREFIX)),3,$(shell \
	python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo 3))
BUILD := build

# KVER names the kernel, KDIR the directory with its headers; both default to the
# running kernel. The release comes from utsrelease.h, because Debian's
# include/config/kernel.release differs from what uname -r prints.
release = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	'$(KDIR)/include/generated/utsrelease.h' 2>/dev/null)
kdir_given := $(KDIR)
ifndef KVER
override KVER := $(if $(KDIR),$(release),$(shell uname -r))
endif
ifndef KDIR
override KDIR := /lib/modules/$(KVER)/build
endif

# Make DESTDIR absolute: kbuild changes the directory, and a relative path would
# then name another place.
ifeq ($(DESTDIR),/)
override DESTDIR :=
endif
ifneq ($(DESTDIR),)
ifeq ($(filter /%,$(firstword $(DESTDIR))),)
override DESTDIR := $(CURDIR)/$(DESTDIR)
endif
endif
ifeq ($(filter /%,$(firstword $(PREFIX))),)
$(error PREFIX=$(PREFIX) is not an absolute path)
endif

# Find depmod and dkms, because su does not always put sbin into PATH.
export PATH := $(PATH):/usr/sbin:/sbin

CFLAGS ?= -O2 -g
# _FILE_OFFSET_BITS: without it, stat() fails on 32-bit machines for files whose size or
# inode number needs 64 bits. -Wno-psabi: on those machines, compilers align 64-bit atomics
# differently, but objects of two compilers never share one here.
TOOLS_CFLAGS := -std=gnu11 -Wall -Wextra -Wno-psabi -D_FILE_OFFSET_BITS=64 \
	-Imodule/uapi -Iuserspace/lib -Iuserspace/common -DBPIPE_VERSION='"$(VERSION)"' -MMD -MP
TOOLS := bpipe-load bpipectl
TOOLS_LIBS := -ljson-c -lpthread

# Build with clang for a kernel built with clang, because such a kernel accepts no other
# modules. LLVM= or CC= on the command line override this.
built_with = $(shell grep -s '^CONFIG_$(1)=y' '$(KDIR)/include/config/auto.conf')
kernel_cc = $(if $(call built_with,CC_IS_CLANG),$(if $(call built_with,LD_IS_LLD),LLVM=1,CC=clang))
kbuild = -C '$(KDIR)' M='$(CURDIR)' \
	$(if $(LLVM)$(filter command%,$(origin CC)),,$(kernel_cc))

.PHONY: all module tools library demo check check-full lint install install-module install-tools \
	uninstall dkms undkms load unload clean help FORCE

# Build the tools first, because they also build where the module does not.
all: tools module

help:
	@echo 'make            build bpipe.ko for the running kernel, and the tools'
	@echo 'make demo       show bpipe at work in a virtual machine; a minute or two'
	@echo 'make check      run the quick tests in virtual machines; at most ten minutes'
	@echo 'make check-full run all tests, also on debug kernels; an hour or two'
	@echo 'make lint       check the coding style, for contributors'
	@echo
	@echo 'make module     build only bpipe.ko (KVER=... or KDIR=... for another kernel)'
	@echo 'make tools      build only bpipectl, bpipe-load and libbpipe, into $(BUILD)'
	@echo 'make load       load bpipe.ko with insmod; make unload removes it with rmmod'
	@echo 'make install    install-module: bpipe.ko, unless DKMS has it; install-tools: tools,'
	@echo '                libbpipe, Python module, manual pages, udev rule, units'
	@echo '                (PREFIX=$(PREFIX), DESTDIR=, LIBDIR=$(LIBDIR))'
	@echo 'make uninstall  remove what make install installed, for all kernels'
	@echo 'make dkms       let DKMS build the module for this kernel and for later ones'
	@echo 'make undkms     remove the module from DKMS'
	@echo 'make clean      remove built files'

# Refuse a path that kbuild cannot handle: kbuild splits paths at spaces and colons, and
# treats % as a pattern.
define check_path
@case '$(1)' in *[[:space:]:%]*) \
	echo 'bpipe: kernel modules do not build below a path with a space, ":" or "%":'; \
	echo 'bpipe: $(1)'; \
	echo 'bpipe: make tools and make install-tools work there'; exit 1 ;; \
esac >&2
endef

# Objects built for another kernel can be newer than this kernel's headers, so make would
# keep them: remove them when the kernel changes.
module_objects := *.o *.ko *.mod *.mod.c .*.cmd modules.order Module.symvers \
	.module-common.o module/*.o module/.*.cmd
kernel = $(KVER) $(realpath $(KDIR))

# Suggest a package only for the default KDIR: no package puts headers into a directory
# that the user named.
ifdef kdir_given
define no_headers
echo 'bpipe: KDIR=$(KDIR): no kernel headers found'; \
echo 'bpipe: use a directory with headers, such as KDIR=/lib/modules/$(shell uname -r)/build'
endef
else
define no_headers
echo 'bpipe: no headers for kernel $(KVER) in $(KDIR)'; \
echo 'bpipe: try: sudo apt-get install linux-headers-$(KVER)'
endef
endif

module:
	$(call check_path,$(CURDIR))
	@test '$(release)' || { $(no_headers); exit 1; } >&2
	@test '$(release)' = '$(KVER)' || { \
		echo 'bpipe: KVER is $(KVER), but $(KDIR) is for $(release)'; exit 1; } >&2
	@mkdir -p $(BUILD)
	@echo '$(kernel)' | cmp -s - $(BUILD)/kernel || { \
		rm -f $(module_objects) && echo '$(kernel)' > $(BUILD)/kernel; }
	$(MAKE) $(kbuild) modules

objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard userspace/$(1)/*.c))

# An incompatible change increments the number. The file name has no release, so that an
# installation replaces the previous file.
SONAME := libbpipe.so.0
archive := $(BUILD)/lib/libbpipe.a

tools: library $(BUILD)/lib/bpipe.pc $(TOOLS:%=$(BUILD)/bin/%)

library: $(archive) $(BUILD)/lib/$(SONAME)

$(BUILD)/obj/%.o: %.c dkms.conf
	@mkdir -p $(@D)
	$(CC) $(TOOLS_CFLAGS) $(commit) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# Archive and shared library share their objects, because the tools are position-independent
# executables and can link -fPIC objects.
$(call objects_of,lib): TOOLS_CFLAGS += -fPIC -fvisibility=hidden

$(archive): $(call objects_of,lib)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/lib/$(SONAME): $(call objects_of,lib) userspace/lib/libbpipe.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,-z,defs \
		-Wl,--version-script,userspace/lib/libbpipe.map -o $@ $(call objects_of,lib) $(LDLIBS)
	ln -sf $(SONAME) $(@D)/libbpipe.so

# Write bpipe.pc in each run, because PREFIX and LIBDIR may differ from the previous one.
$(BUILD)/lib/bpipe.pc: userspace/lib/bpipe.pc.in dkms.conf FORCE
	@mkdir -p $(@D)
	@sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' $< > $@

# Link the tools with the archive, so that they run in the build directory, and at boot
# before ldconfig has run or /usr/local is mounted.
define tool
$(BUILD)/bin/$(1): $(call objects_of,$(1)) $(call objects_of,common) $(archive)
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $$^ $(TOOLS_LIBS) $(LDLIBS)
endef
$(foreach t,$(TOOLS),$(eval $(call tool,$(t))))
-include $(foreach d,lib common $(TOOLS),$(patsubst %.o,%.d,$(call objects_of,$(d))))

# The commit that bpipectl names. Change this file only if the commit changes, so that nothing
# else causes a rebuild. If git cannot name the commit (no .git, or another user's), keep the
# commit of an earlier make.
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@commit=$$([ -e .git ] && git describe --tags --always --dirty 2> /dev/null || \
		cat $@ 2> /dev/null || echo unknown); \
	echo "$$commit" | cmp -s - $@ || echo "$$commit" > $@
$(BUILD)/obj/userspace/bpipectl/main.o: $(BUILD)/commit
$(BUILD)/obj/userspace/bpipectl/main.o: commit = -DBPIPE_COMMIT='"'"$$(cat $(BUILD)/commit)"'"'

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

# TARGET:SOURCE-DIRECTORY of each installed file. install-tools and uninstall share this
# list. A source that starts with ./ or ../ is the target of a symbolic link.
define installed
bin/bpipectl:$(BUILD)/bin
bin/bpipe-load:$(BUILD)/bin
include/linux/bpipe.h:module/uapi/linux
include/bpipe.h:userspace/lib
$(LIBDIR)/$(SONAME):$(BUILD)/lib
$(LIBDIR)/libbpipe.so:./$(SONAME)
$(LIBDIR)/libbpipe.a:$(BUILD)/lib
$(LIBDIR)/pkgconfig/bpipe.pc:$(BUILD)/lib
$(PYTHONDIR)/bpipe/__init__.py:userspace/python/bpipe
$(PYTHONDIR)/bpipe/_uapi.py:userspace/python/bpipe
share/man/man3/bpipe.3:userspace/man
share/doc/bpipe/examples/consumer.py:userspace/python/examples
share/man/man1/bpipe-load.1:userspace/man
share/man/man4/bpipe.4:userspace/man
share/man/man8/bpipectl.8:userspace/man
share/bash-completion/completions/bpipectl:userspace/completion
lib/modules-load.d/bpipe.conf:userspace/modules-load
lib/sysusers.d/bpipe.conf:userspace/udev
lib/udev/rules.d/60-bpipe.rules:userspace/udev
lib/systemd/system/bpipe-channels.service:userspace/systemd
lib/systemd/system/sysinit.target.wants/bpipe-channels.service:../bpipe-channels.service
lib/systemd/system/bpipe-monitor@.service:userspace/systemd
endef
root = $(DESTDIR)$(PREFIX)
to = $(firstword $(subst :, ,$(1)))
from = $(lastword $(subst :, ,$(1)))

# install_one TO,FROM
define install_one
install -d '$(root)/$(dir $(1))'
$(if $(filter ./% ../%,$(2)),$(install_link),$(install_file))

endef
install_link = ln -sf $(2:./%=%) '$(root)/$(1)'
install_file = install -m $(if $(filter bin/%,$(1)),755,644) $(2)/$(notdir $(1)) '$(root)/$(1)' \
	$(if $(filter %.service,$(1)),&& $(name_tool))
# Make a unit run the tool that is installed with it, not one earlier in systemd's path.
name_tool = sed -i 's|^ExecStart=bpipectl|ExecStart=$(PREFIX)/bin/bpipectl|' '$(root)/$(1)'

# The directories of the list, except the standard ones of every PREFIX, and those of an
# installed Python.
parents = $(if $(filter-out .,$(1)),$(1) $(call parents,$(patsubst %/,%,$(dir $(1)))))
directories = $(filter-out bin include lib share share/man $(if $(shell command -v python3), \
	$(PYTHONDIR) $(patsubst %/,%,$(dir $(PYTHONDIR)))),$(sort \
	$(foreach f,$(installed),$(call parents,$(patsubst %/,%,$(dir $(call to,$(f))))))))

# Run dkms; with DESTDIR, on a DKMS tree below DESTDIR. DKMS runs make and parses its
# output, so it must not inherit the settings of this make.
dkms = env -u MAKELEVEL -u MAKEFLAGS -u MFLAGS dkms $(if $(DESTDIR),--dkmstree '$(DESTDIR)/var/lib/dkms' \
	--sourcetree '$(DESTDIR)/usr/src' --installtree '$(DESTDIR)/lib/modules' --no-depmod)
dkms_versions = $(dkms) status -m bpipe 2>/dev/null | \
	sed -n 's|^bpipe[/,] *\([^,: ]*\).*|\1|p' | sort -u
dkms_source = $(DESTDIR)/usr/src/bpipe
dkms_kernels = $(dkms) status -m bpipe 2>/dev/null | \
	sed -n 's|^bpipe[/,] *[^,]*, *\([^,]*\), [^,]*: installed.*|\1|p'
define remove_from_dkms
for version in $$($(dkms_versions)); do \
	if dpkg-query -S '$(dkms_source)-'"$$version" 2>/dev/null; then \
		echo 'bpipe: the module belongs to the package above; remove the package first' >&2; \
		exit 1; \
	fi; \
	$(dkms) remove -m bpipe -v "$$version" --all && \
	rm -rf '$(dkms_source)-'"$$version" || exit; \
done
endef

# A separate directory, because some systems' DKMS installs to updates.
module_dir = updates/bpipe

# Do not sign without the key: a distribution's headers do not include it.
signing_key = $(shell sed -n 's/^CONFIG_MODULE_SIG_KEY=//p' \
	'$(KDIR)/include/config/auto.conf' 2>/dev/null)
unsigned = $(if $(wildcard $(KDIR)/$(signing_key)),,CONFIG_MODULE_SIG_ALL=)

# Remove what install-module installed, for all kernels.
define remove_module
for module in '$(DESTDIR)'/lib/modules/*/$(module_dir)/bpipe.ko*; do \
	[ -e "$$module" ] || continue; \
	echo "bpipe: removing $$module"; \
	kernel=$${module%/$(module_dir)/*}; \
	rm -f "$$module" && \
	(cd "$$kernel" && rmdir -p --ignore-fail-on-non-empty $(module_dir)) && \
	$(if $(DESTDIR),:,depmod "$${kernel##*/}") || exit; \
done
endef

# Make running daemons notice installed and removed files.
define reload
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; \
if [ -S /run/udev/control ]; then udevadm control --reload; fi; \
if command -v ldconfig > /dev/null; then ldconfig; fi
endef

install: install-module install-tools

# Leave the module to DKMS if DKMS has it: with two modules of one name, modprobe could
# load the older one.
install-module: module
	$(call check_path,$(DESTDIR))
	$(if $(shell $(dkms_versions)),$(leave_to_dkms))
	$(if $(shell $(dkms_versions)),,umask 022; $(MAKE) $(kbuild) \
		$(if $(DESTDIR),INSTALL_MOD_PATH='$(DESTDIR)') $(unsigned) \
		INSTALL_MOD_DIR=$(module_dir) INSTALL_MOD_STRIP=1 DEPMOD=true modules_install)
	$(if $(DESTDIR),,depmod $(KVER))

define leave_to_dkms
@$(remove_module)
@echo 'bpipe: DKMS has the module, so it is not installed again'
@echo 'bpipe: make dkms replaces the module in DKMS, make undkms removes it'
endef

install-tools: tools
	$(foreach f,$(installed),$(call install_one,$(call to,$(f)),$(call from,$(f))))
ifeq ($(DESTDIR),)
	@getent group bpipe > /dev/null || \
		systemd-sysusers '$(root)/lib/sysusers.d/bpipe.conf' 2> /dev/null || \
		groupadd --system bpipe
	@$(reload)
	@if [ -S /run/udev/control ]; then udevadm trigger --subsystem-match=bpipe; fi
endif

# Keep the group, because files may belong to it; keep /etc/bpipe and a loaded module, too.
uninstall:
ifeq ($(DESTDIR),)
	@if [ -d /run/systemd/system ]; then systemctl stop 'bpipe-monitor@*.service'; fi
	-@if command -v systemctl > /dev/null; then systemctl disable bpipe-monitor@.service; fi
endif
	rm -f $(foreach f,$(installed),'$(root)/$(call to,$(f))')
	rm -rf '$(root)/$(PYTHONDIR)/bpipe/__pycache__'
	@for directory in $$(printf '%s\n' $(directories) | sort -r); do \
		[ ! -d '$(root)/'$$directory ] || \
		rmdir --ignore-fail-on-non-empty '$(root)/'$$directory; \
	done
	@$(remove_module)
	$(if $(DESTDIR),,@$(reload))

# Build the module first: if the build fails, DKMS keeps the module it has.
dkms:
	@command -v dkms > /dev/null || { \
		echo 'bpipe: dkms is not installed'; \
		echo 'bpipe: try: sudo apt-get install dkms'; exit 1; } >&2
	$(call check_path,$(DESTDIR))
	@$(MAKE) --no-print-directory module
	@$(remove_from_dkms)
	@$(remove_module)
	umask 022; install -d $(dkms_source)-$(VERSION) && \
	cp --parents --no-preserve=mode -t $(dkms_source)-$(VERSION) Kbuild Makefile dkms.conf \
		module/*.[ch] module/uapi/linux/*.h
	@$(dkms) install -m bpipe -v $(VERSION) -k $(KVER) --kernelsourcedir $(KDIR) || { \
		cat $(DESTDIR)/var/lib/dkms/bpipe/$(VERSION)/build/make.log 2> /dev/null; \
		$(remove_from_dkms); \
		rm -rf $(dkms_source)-$(VERSION); \
		echo 'bpipe: DKMS failed, see above; it no longer has bpipe'; exit 1; } >&2
	@for kernel in $(filter-out $(KVER),$(shell $(dkms_kernels))); do \
		if [ -e $(DESTDIR)/lib/modules/$$kernel/build ]; then \
			$(dkms) install -m bpipe -v $(VERSION) -k $$kernel; \
		else \
			echo "bpipe: no headers for $$kernel, so DKMS has no module for it"; \
		fi || exit; \
	done

undkms:
	@$(remove_from_dkms)

clean:
	rm -rf $(BUILD)
	rm -f $(module_objects)
