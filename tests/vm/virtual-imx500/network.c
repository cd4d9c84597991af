// SPDX-License-Identifier: GPL-2.0
/*
 * The network's file as the driver reads it: blocks, then a cpio archive of which it looks at one member.
 *
 *   "9464" size ... "3695" | "9464" size ... "3695" | ... | 070701 imx500_regs | 070701 ... | TRAILER!!!
 *
 * Each entry of imx500_regs is 7 bytes: address (16 bits), length (1, 2 or 4), value (32 bits).
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "virtual.h"

#define BLOCK_HEADER_LEN 32
#define BLOCK_FOOTER_LEN 64
#define DEVICE_LOCK_AT 0x0e
#define DEVICE_LOCK_LEN 32
#define REGISTER_LEN 7
#define INPUT_LINES_REG 0x305e
#define OUTPUT_LINES_REG 0x3060
/* From this many lines on the driver refuses, or counts none. */
#define MOST_LINES 2046

static size_t block_len(const u8 *data, size_t left)
{
	u64 len;

	if (left < BLOCK_HEADER_LEN || memcmp(data, "9464", 4))
		return 0;
	len = (u64)get_unaligned_be32(data + 4) + BLOCK_FOOTER_LEN;
	if (len + (data[DEVICE_LOCK_AT] & 1 ? DEVICE_LOCK_LEN : 0) > left || memcmp(data + len - 4, "3695", 4))
		return 0;
	return len + (data[DEVICE_LOCK_AT] & 1 ? DEVICE_LOCK_LEN : 0);
}

/* Length of all blocks in front. */
size_t network_valid_bytes(const u8 *file, size_t len)
{
	size_t valid = 0, block;

	while ((block = block_len(file + valid, len - valid)))
		valid += block;
	return valid;
}

static bool hex_field(const u8 *header, unsigned int index, u32 *value)
{
	unsigned int i;

	*value = 0;
	for (i = 0; i < 8; i++) {
		int digit = hex_to_bin(header[6 + 8 * index + i]);

		if (digit < 0)
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

/* The member imx500_regs of a newc archive, found as the kernel finds an early cpio's: by the name's start. */
static const u8 *find_registers(const u8 *archive, size_t len, size_t *member_len)
{
	static const char wanted[] = "imx500_regs";
	size_t at = 0;

	while (len - at > 110) {
		const u8 *header = archive + at;
		u32 mode, file_len, name_len;
		size_t name, data, end;

		if (!*header) {
			at += 4;
			if (at > len)
				break;
			continue;
		}
		if ((memcmp(header, "070701", 6) && memcmp(header, "070702", 6)) ||
		    !hex_field(header, 1, &mode) || !hex_field(header, 6, &file_len) ||
		    !hex_field(header, 11, &name_len))
			return NULL;
		name = at + 110;
		data = ALIGN(name + name_len, 4);
		end = ALIGN(data + file_len, 4);
		if (data > len || data + file_len > len || end < data)
			return NULL;
		if ((mode & 0170000) == 0100000 && name_len >= strlen(wanted) &&
		    !memcmp(archive + name, wanted, strlen(wanted))) {
			*member_len = file_len;
			return archive + data;
		}
		at = end;
		if (at >= len)
			break;
	}
	return NULL;
}

/* Normalisation of one plane: 8 bytes of registers, the third of which is a single byte with one bit. */
static bool is_plane_register(u16 address, u8 len, u32 value, u16 first, u16 last)
{
	if (address < first || address > last)
		return false;
	switch ((address - first) % 8) {
	case 0:
	case 4:
	case 6:
		return len == 2 && value < BIT(9);
	case 2:
		return len == 1 && value < BIT(1);
	}
	return false;
}

static bool is_yuv_normalisation(u16 address, u8 len, u32 value)
{
	switch (address) {
	case 0xd600 ... 0xd602:
		return len == 1 && value < BIT(8);
	case 0xd629: case 0xd630: case 0xd638: case 0xd643: case 0xd647:
	case 0xd64b: case 0xd64f: case 0xd653: case 0xd657:
		return len == 1 && value < BIT(1);
	case 0xd62a: case 0xd632: case 0xd63a: case 0xd644: case 0xd648:
	case 0xd64c: case 0xd650: case 0xd654: case 0xd658:
		return len == 2 && value < BIT(9);
	}
	return false;
}

static bool is_colour_conversion(u16 address, u8 len, u32 value)
{
	if (address < 0xd76c || address > 0xd7fa || address & 1)
		return false;
	if (address >= 0xd7d8 || (address >= 0xd784 && address < 0xd790))
		return len == 4 && (value & 0xffff) < BIT(9) && value >> 16 < BIT(9);
	return len == 2 && value < BIT(13);
}

static bool is_allowed(u16 address, u8 len, u32 value)
{
	return is_yuv_normalisation(address, len, value) ||
	       is_plane_register(address, len, value, 0xd684, 0xd6e3) ||
	       is_plane_register(address, len, value, 0xd708, 0xd74f) ||
	       (address >= 0xd750 && address <= 0xd752 && len == 1 && value <= 5) ||
	       is_colour_conversion(address, len, value) ||
	       ((address == INPUT_LINES_REG || address == OUTPUT_LINES_REG) && len == 2 && value < MOST_LINES);
}

/* What the driver writes before the weights; the first entry that it may not write ends it. */
int network_check_registers(const u8 *file, size_t len)
{
	size_t valid = network_valid_bytes(file, len), size = 0, at;
	const u8 *entries = find_registers(file + valid, len - valid, &size);

	if (!entries || size % REGISTER_LEN)
		return -EINVAL;
	for (at = 0; at < size; at += REGISTER_LEN) {
		u16 address = get_unaligned_le16(entries + at);
		u8 width = entries[at + 2];
		u32 value = get_unaligned_le32(entries + at + 3);

		if (!is_allowed(address, width, value)) {
			pr_info("virtual-imx500: register %#x (%u bytes) may not be %#x\n", address, width, value);
			return -EINVAL;
		}
	}
	return 0;
}

/* DNN lines of a frame: KPI, input, output, PQ. Lines that cannot be found count as none. */
unsigned int network_lines(const u8 *file, size_t len)
{
	size_t valid = network_valid_bytes(file, len), size = 0, at;
	const u8 *entries = find_registers(file + valid, len - valid, &size);
	unsigned int input = 0, output = 0;

	if (!entries || size % REGISTER_LEN)
		return 2;
	for (at = 0; at < size; at += REGISTER_LEN) {
		u32 value = get_unaligned_le32(entries + at + 3);

		if (entries[at + 2] != 2 || value >= MOST_LINES)
			continue;
		if (get_unaligned_le16(entries + at) == INPUT_LINES_REG)
			input = value;
		if (get_unaligned_le16(entries + at) == OUTPUT_LINES_REG)
			output = value;
	}
	return 2 + input + output;
}
