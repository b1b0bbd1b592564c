// SPDX-License-Identifier: GPL-2.0-or-later
// Attributes of netlink messages as values; what is absent or too short is nothing. Pure.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace synward {

// The attributes of one level, by type; those beyond `most` are left out.
template <std::size_t most>
struct Attributes {
    std::array<const nlattr*, most + 1> of{};

    static int take(const nlattr* attribute, void* data) {
        const std::uint16_t type = mnl_attr_get_type(attribute);
        if (type <= most) static_cast<Attributes*>(data)->of[type] = attribute;
        return MNL_CB_OK;
    }
    // Whether the attribute is there with at least so many bytes.
    [[nodiscard]] const void* bytes(std::size_t type, std::size_t length) const {
        return of[type] && mnl_attr_get_payload_len(of[type]) >= length ? mnl_attr_get_payload(of[type])
                                                                        : nullptr;
    }
    template <typename T>
    [[nodiscard]] T number(std::size_t type) const {
        T value{};
        if (const void* from = bytes(type, sizeof value)) std::memcpy(&value, from, sizeof value);
        return value;
    }
};

template <std::size_t most>
[[nodiscard]] Attributes<most> nested(const nlattr* parent) {
    Attributes<most> found;
    if (parent) mnl_attr_parse_nested(parent, Attributes<most>::take, &found);
    return found;
}

}  // namespace synward
