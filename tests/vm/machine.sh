# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # for those that source this
#
# What differs from one kind of machine to another: . machine.sh [ARCHITECTURE],
# or the last word of a kernel's version

case ${1-} in
arm64)	arch=arm64 cross=aarch64-linux-gnu-
	emulator=(qemu-system-aarch64 -machine virt) cpu=cortex-a72
	console=ttyAMA0 ;;
s390x)	arch=s390x cross=s390x-linux-gnu-
	emulator=(qemu-system-s390x -machine s390-ccw-virtio) cpu=max
	console=ttysclp0 ;;
# The default machine has its interrupts told by a program in its firmware, which
# a kernel that checks each allocation takes a minute to run; q35 has a table.
# Where rep movsb is said to be fast, the kernel copies with it, and TCG byte by
# byte. A guest on a busy host would take a timer that is late for a broken one.
i386|pae)
	arch=i386 cross=i686-linux-gnu-
	emulator=(qemu-system-x86_64 -machine q35) cpu=max,-erms,-fsrm
	console='ttyS0 no_timer_check' ;;
*)	arch=amd64 cross=
	emulator=(qemu-system-x86_64 -machine q35) cpu=max,-erms,-fsrm
	console='ttyS0 no_timer_check' ;;
esac
