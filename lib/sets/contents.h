// SPDX-License-Identifier: GPL-2.0-or-later
// What was in one set when it was read: sorted, immutable, 12 bytes for an IPv4 entry
// and 24 for an IPv6 one. Looked up as the kernel does it.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "lib/config.h"
#include "lib/sets/index.h"
#include "lib/sets/reader.h"

namespace synward {

// SetContents::Entry::extra of sets by port; protocols without ports have 0.
[[nodiscard]] constexpr std::uint32_t port_extra(std::uint8_t protocol, std::uint16_t port) {
    return static_cast<std::uint32_t>(protocol) << 16 | port;
}

// Addresses as numbers, in host byte order.
using Key4 = std::uint32_t;
struct Key6 {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    auto operator<=>(const Key6&) const = default;
};

template <typename Key>
[[nodiscard]] Key address_key(const Address& address);
template <typename Key>
[[nodiscard]] Address key_address(Key key);
// The first `length` bits.
[[nodiscard]] constexpr Key4 key_prefix(Key4 key, unsigned length) {
    return length == 0 ? 0 : key & ~Key4{0} << (32 - length);
}
[[nodiscard]] constexpr Key6 key_prefix(Key6 key, unsigned length) {
    if (length == 0) return {};
    if (length <= 64) return {key.high & ~std::uint64_t{0} << (64 - length), 0};
    return {key.high, key.low & ~std::uint64_t{0} << (128 - length)};
}

// An entry that came or went; its texts are not looked at.
struct SetChange {
    SetEntry entry;
    bool removed = false;
};

class SetContents {
  public:
    template <typename Key>
    struct Entry {
        Key key;
        std::uint32_t extra;  // protocol << 16 | port; index of interfaces(); packet mark
        std::uint8_t length;
        std::uint8_t mark;  // the class byte; 0: none
        bool nomatch;
        bool mute;  // its mask has no bit of the class byte: it says nothing

        [[nodiscard]] auto place() const { return std::tie(key, length, extra); }
        bool operator==(const Entry&) const = default;
    };
    struct Interface {
        std::string name;
        bool wildcard;
        bool bridge_port;

        [[nodiscard]] bool matches(std::string_view interface) const {
            return !bridge_port && (wildcard ? interface.starts_with(name) : interface == name);
        }
        bool operator==(const Interface&) const = default;
    };

    [[nodiscard]] const SetHeader& header() const { return header_; }
    // In order; of a list only, which has no entries.
    [[nodiscard]] const std::vector<std::shared_ptr<const SetContents>>& members() const { return members_; }
    [[nodiscard]] std::size_t size() const { return entries4_.size() + entries6_.size(); }
    [[nodiscard]] std::size_t memory() const;  // bytes
    // How many entries carry this class byte.
    [[nodiscard]] std::uint32_t count(std::uint8_t mark) const { return marks_[mark]; }
    // Sorted by address, then length; a set has entries of one family.
    template <typename Key>
    [[nodiscard]] const std::vector<Entry<Key>>& entries() const;
    [[nodiscard]] const std::vector<Interface>& interfaces() const { return interfaces_; }

    // The entry that the kernel finds. A list ends with the first member that has one.
    enum class Answer : std::uint8_t { none, mute, mark };
    struct Found {
        Answer answer = Answer::none;
        std::uint8_t mark = 0;
    };
    [[nodiscard]] Found find(const SetQuery& query) const;
    // Appends an interface for each answer that find() may give about this source because
    // of the interface, besides that for an interface which no entry names.
    void name_interfaces(const Address& source, std::vector<std::string>& names) const;

    // A copy with these changes, made in their order; no list, and no set by interface. Appends the
    // prefixes of what differs then; null where nothing does.
    [[nodiscard]] std::shared_ptr<const SetContents> with(std::span<const SetChange> changes,
                                                          std::vector<Prefix>& changed) const;
    // A copy of the entries, and of members their entries, that say something of an address in
    // `prefix`: those in it and those around it. Null where they would be more than `most`.
    [[nodiscard]] std::shared_ptr<const SetContents> around(const Prefix& prefix, std::size_t most) const;

    // The prefixes of entries that are in one of both only, or differ in more than
    // counters, comment and timeout; appended to `changed`, at most until that has `limit`. Returns how many.
    static std::size_t difference(const SetContents& a, const SetContents& b, std::vector<Prefix>& changed,
                                  std::size_t limit);

  private:
    friend class SetBuilder;
    template <typename Key>
    [[nodiscard]] Found find_in(const SetQuery& query) const;
    template <typename Key>
    void name_interfaces_in(const Address& source, std::vector<std::string>& names) const;
    // `extra` as in Entry.
    template <typename Key>
    [[nodiscard]] static Entry<Key> make_entry(const SetEntry& entry, std::uint32_t extra);
    template <typename Key>
    void take(const std::vector<Entry<Key>>& old, std::span<const SetChange> changes,
              std::vector<Prefix>& changed, std::vector<Entry<Key>>& entries);
    template <typename Key>
    [[nodiscard]] std::vector<Entry<Key>> entries_around(const Prefix& prefix, std::size_t most) const;

    SetHeader header_;
    std::vector<Entry<Key4>> entries4_;
    std::vector<Entry<Key6>> entries6_;
    std::vector<unsigned> lengths_;  // that entries have, longest first
    std::vector<Interface> interfaces_;
    std::vector<std::shared_ptr<const SetContents>> members_;
    std::array<std::uint32_t, 256> marks_{};
};

class SetBuilder {
  public:
    explicit SetBuilder(SetHeader header);
    void add(const SetEntry& entry);
    void add_member(std::shared_ptr<const SetContents> member);
    [[nodiscard]] std::shared_ptr<const SetContents> finish() &&;

  private:
    [[nodiscard]] std::uint32_t interface(const SetEntry& entry);

    std::unique_ptr<SetContents> set_;
};

// The denied and allowed sources of a config as sets, one for each family.
[[nodiscard]] std::vector<std::shared_ptr<const SetContents>> sets_of(const SourcesConfig& sources);

// Empty if sets of this header can carry verdicts; else what is wrong with it, and what to do.
[[nodiscard]] std::string unfit(const SetHeader& header);

// Reads a set, and the members of a list. `unsupported` if it is unfit.
[[nodiscard]] Result<std::shared_ptr<const SetContents>> read_set(SetReader& reader, const std::string& name);

}  // namespace synward
