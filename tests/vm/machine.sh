# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # for scripts that source this
#
# Set the variables that depend on the architecture of the guest.
#
# usage: . machine.sh [ARCHITECTURE]	or the last word of a kernel's version

case ${1-} in
arm64)	arch=arm64 cross=aarch64-linux-gnu-
	emulator=(qemu-system-aarch64 -machine virt) cpu=cortex-a72
	console=ttyAMA0 ;;
s390x)	arch=s390x cross=s390x-linux-gnu-
	emulator=(qemu-system-s390x -machine s390-ccw-virtio) cpu=max
	console=ttysclp0 ;;
# q35: on the default machine, the kernel gets its interrupt routing by running
# firmware code, which takes a debug kernel a minute. q35 has a table instead.
# -erms,-fsrm: without these flags, the kernel does not copy with rep movsb, which
# TCG emulates byte by byte.
# no_timer_check: on a busy host, the kernel would mistake a late timer for a
# broken one.
i386|pae)
	arch=i386 cross=i686-linux-gnu-
	emulator=(qemu-system-x86_64 -machine q35) cpu=max,-erms,-fsrm
	console='ttyS0 no_timer_check' ;;
*)	arch=amd64 cross=
	emulator=(qemu-system-x86_64 -machine q35) cpu=max,-erms,-fsrm
	console='ttyS0 no_timer_check' ;;
esac
