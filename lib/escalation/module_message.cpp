// SPDX-License-Identifier: GPL-2.0-or-later
// What the module says, read from its messages.
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "lib/escalation/module.h"

namespace synward {
namespace {

// Calls `take` with the type of each attribute; false if one of them is not
// what it should be.
template <typename Take>
int call(const nlattr* attribute, void* data) {
    return (*static_cast<Take*>(data))(attribute, mnl_attr_get_type(attribute)) ? MNL_CB_OK : MNL_CB_ERROR;
}

template <typename Take>
bool each_attribute(const nlmsghdr* message, Take take) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(genlmsghdr)) return false;
    return mnl_attr_parse(message, sizeof(genlmsghdr), call<Take>, &take) >= 0;
}

template <typename Take>
bool each_nested(const nlattr* nest, Take take) {
    return mnl_attr_validate(nest, MNL_TYPE_NESTED) >= 0 &&
           mnl_attr_parse_nested(nest, call<Take>, &take) >= 0;
}

// Numbers of the attribute's own size only.
bool read(const nlattr* attribute, std::uint8_t& value) {
    if (mnl_attr_get_payload_len(attribute) != sizeof value) return false;
    value = mnl_attr_get_u8(attribute);
    return true;
}
bool read(const nlattr* attribute, std::uint16_t& value) {
    if (mnl_attr_get_payload_len(attribute) != sizeof value) return false;
    value = mnl_attr_get_u16(attribute);
    return true;
}
bool read(const nlattr* attribute, std::uint32_t& value) {
    if (mnl_attr_get_payload_len(attribute) != sizeof value) return false;
    value = mnl_attr_get_u32(attribute);
    return true;
}
bool read(const nlattr* attribute, std::uint64_t& value) {
    if (mnl_attr_get_payload_len(attribute) != sizeof value) return false;
    value = mnl_attr_get_u64(attribute);
    return true;
}
template <typename Value>
bool read(const nlattr* attribute, std::optional<Value>& value) {
    return read(attribute, value.emplace());
}
// One of an enum that ends with `end`.
template <typename Enum>
bool read_enum(const nlattr* attribute, Enum& value, unsigned end) {
    std::uint8_t number = 0;
    if (!read(attribute, number) || number >= end) return false;
    value = static_cast<Enum>(number);
    return true;
}

bool read_policy(const nlattr* nest, ModulePolicy& policy) {
    return each_nested(nest, [&](const nlattr* attribute, unsigned type) {
        switch (type) {
            case SW_NL_POLICY_FAIL:
                return read_enum(attribute, policy.fail.emplace(), SW_RING_FAILS);
            case SW_NL_POLICY_SLOTS:
                return read(attribute, policy.slots);
            case SW_NL_POLICY_BYTES:
                return read(attribute, policy.bytes);
            case SW_NL_POLICY_DEADLINE:
                return read(attribute, policy.deadline_ms);
            default:
                return true;
        }
    });
}

bool read_ring(const nlattr* nest, RingStatus& ring) {
    return each_nested(nest, [&](const nlattr* attribute, unsigned type) {
        switch (type) {
            case SW_NL_RING_INDEX:
                return read(attribute, ring.ring);
            case SW_NL_RING_RINGS:
                return read(attribute, ring.rings);
            case SW_NL_RING_MODE:
                return read_enum(attribute, ring.mode, SW_RING_MODES);
            case SW_NL_RING_FANOUT:
                return read_enum(attribute, ring.fanout, SW_RING_FANOUTS);
            case SW_NL_RING_FAIL:
                return read_enum(attribute, ring.fail, SW_RING_FAILS);
            case SW_NL_RING_SLOTS:
                return read(attribute, ring.slots);
            case SW_NL_RING_HELD:
                return read(attribute, ring.held);
            case SW_NL_RING_BYTES:
                return read(attribute, ring.bytes);
            case SW_NL_RING_PUBLISHED:
                return read(attribute, ring.published);
            case SW_NL_RING_LOST:
                return read(attribute, ring.lost);
            case SW_NL_RING_PID:
                return read(attribute, ring.pid);
            default:
                return true;
        }
    });
}

bool read_set(const nlattr* nest, ModuleSet& set) {
    return each_nested(nest, [&](const nlattr* attribute, unsigned type) {
        switch (type) {
            case SW_NL_SET_NAME:
                if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0) return false;
                set.name = mnl_attr_get_str(attribute);
                return true;
            case SW_NL_SET_DIM:
                return read(attribute, set.dim);
            case SW_NL_SET_FLAGS:
                return read(attribute, set.flags);
            case SW_NL_SET_INDEX:
                return read(attribute, set.index);
            default:
                return true;
        }
    });
}

}  // namespace

std::optional<ModuleStatus> read_module_status(const nlmsghdr* message) {
    ModuleStatus status;
    bool has_abi = false;
    const bool good = each_attribute(message, [&](const nlattr* attribute, unsigned type) {
        switch (type) {
            case SW_NL_A_ABI:
                has_abi = true;
                return read(attribute, status.abi);
            case SW_NL_A_VERSION:
                if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0) return false;
                status.version = mnl_attr_get_str(attribute);
                return true;
            case SW_NL_A_POLICY:
                return read_policy(attribute, status.policy);
            default:
                return true;
        }
    });
    if (!good || !has_abi) return std::nullopt;
    return status;
}

std::optional<RingStatus> read_ring_status(const nlmsghdr* message) {
    std::optional<RingStatus> ring;
    const bool good = each_attribute(message, [&](const nlattr* attribute, unsigned type) {
        return type != SW_NL_A_RING || read_ring(attribute, ring.emplace());
    });
    return good ? ring : std::nullopt;
}

std::optional<ModuleCounters> read_module_counters(const nlmsghdr* message) {
    std::optional<ModuleCounters> counters;
    const auto read_counter = [&](const nlattr* attribute, unsigned type) {
        // reasons that this version does not know are left out
        if (type == 0 || type > counters->size()) return true;
        return read(attribute, (*counters)[type - 1]);
    };
    const bool good = each_attribute(message, [&](const nlattr* attribute, unsigned type) {
        if (type != SW_NL_A_COUNTERS) return true;
        counters.emplace().fill(0);
        return each_nested(attribute, read_counter);
    });
    return good ? counters : std::nullopt;
}

std::optional<ModuleEvent> read_module_event(const nlmsghdr* message) {
    ModuleEvent event;
    bool named = false;
    const bool good = each_attribute(message, [&](const nlattr* attribute, unsigned type) {
        if (type == SW_NL_A_RING) return read_ring(attribute, event.ring);
        if (type != SW_NL_A_EVENT) return true;
        named = true;
        return read_enum(attribute, event.event, SW_NL_EVENTS);
    });
    if (!good || !named) return std::nullopt;
    return event;
}

std::optional<ModuleBinding> read_module_binding(const nlmsghdr* message) {
    ModuleBinding binding;
    auto& sets = binding.sets;
    const auto read_one = [&](const nlattr* attribute, unsigned type) {
        return type != SW_NL_A_SET || (read_set(attribute, sets.emplace_back()) && !sets.back().name.empty());
    };
    const bool good = each_attribute(message, [&](const nlattr* attribute, unsigned type) {
        if (type != SW_NL_A_SETS) return true;
        binding.marks = true;
        return each_nested(attribute, read_one);
    });
    return good ? std::optional(std::move(binding)) : std::nullopt;
}

}  // namespace synward
