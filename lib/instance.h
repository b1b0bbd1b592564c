// SPDX-License-Identifier: GPL-2.0-or-later
// synward on one interface: its programs in the kernel and their maps.
//
// Nothing is pinned: the XDP attachment and the tc filter keep programs and maps
// alive, so that the death of the process that made them changes nothing.
// Another process finds them again: interface -> program -> maps by name.
//
// One process at a time may write (open, apply, set_mode, rotate_keys, learn, unload):
// whoever calls these holds the InterfaceLock of the policy, from before it reads what it
// changes. Writers of sources() hold that of the sources. Reading is always safe.
// Move-only; one thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/abi/maps.h"
#include "lib/filter_size.h"
#include "lib/interface.h"
#include "lib/interface_lock.h"
#include "lib/keys.h"
#include "lib/policy.h"
#include "lib/result.h"
#include "lib/source_maps.h"
#include "lib/stats.h"
#include "lib/tickets.h"

namespace synward {

enum class AttachMode { native, generic, offload, dispatcher };
[[nodiscard]] std::string_view attach_mode_name(AttachMode mode);

struct LoadOptions {
    std::string object;                       // empty: find_object()
    std::uint32_t flows = default_flows;      // entries of the flow table
    std::uint32_t sources = default_sources;  // single addresses in the source sets
    bool generic = false;                     // do not try the driver's own mode
};

// How the instance came to be and what is attached.
struct Attachment {
    std::uint32_t program_id = 0;
    AttachMode mode = AttachMode::native;
    bool adopted = false;     // was attached before this process came
    bool tc = false;          // the tc filter is there
    std::string generic_why;  // why not native, where generic was the fallback
};

// What generic mode costs and why it is, as far as is known; empty in any other mode.
[[nodiscard]] std::string generic_text(const Attachment& attachment, const Interface& interface);

struct MapView {
    std::string name;
    std::uint32_t entries = 0;  // at most
    std::uint64_t bytes = 0;    // as Instance::memory() counts
};

struct Rotation {
    bool rotated = false;
    KeyTimes times;  // afterwards
};

class Instance {
  public:
    // Adopts what is attached; changes nothing. Code `missing`: nothing of ours is
    // attached; `busy`: somebody else's program is (names it); `mismatch`: ours,
    // of another ABI version.
    [[nodiscard]] static Result<Instance> find(const Interface& interface);

    // Adopts, or else loads the object and attaches it: native, else generic.
    // Then loads and attaches the tc program, replacing an older one of ours.
    // Somebody else's program is never replaced.
    [[nodiscard]] static Result<Instance> open(const Interface& interface, const LoadOptions& options);

    // Detaches XDP and tc; the maps go with the last user. clsact goes too if
    // nothing else hangs on it. Code `missing` if nothing of ours was attached.
    static Result<void> unload(const Interface& interface);

    Instance(Instance&&) noexcept;
    Instance& operator=(Instance&&) noexcept;
    ~Instance();

    [[nodiscard]] const Interface& interface() const;
    [[nodiscard]] const Attachment& attachment() const;
    // Still attached to the interface? False after somebody detached it.
    [[nodiscard]] bool alive() const;
    // For a change of an instance that was found before. Code `missing` if it was taken off
    // since: what is written then changes nothing.
    [[nodiscard]] Result<InterfaceLock> lock(InterfaceLock::Part part) const;

    // Enforces a policy: writes the generation that is not in use, then flips.
    // A packet sees the old policy or the new one. On an error the old one stays.
    // The first one also makes the cookie keys; later ones keep them.
    Result<void> apply(const CompiledPolicy& policy);

    // The writer of the source sets. They are no part of apply(): whoever applies a
    // policy then calls replace(policy.sources).
    [[nodiscard]] Result<SourceMaps> sources() const;
    // Single addresses, and as many prefixes, that fit: what the program was loaded with.
    [[nodiscard]] std::uint32_t source_capacity() const;
    // The fate that the sets in force have for one address, and by what prefix.
    [[nodiscard]] Result<std::optional<SourceEntry>> find_source(const Address& address) const;
    // Those of these ports at which another entry decides, for that port alone.
    [[nodiscard]] Result<std::vector<SourceEntry>> find_source_ports(
        const Address& address, std::span<const std::uint16_t> ports) const;
    // How many entries there are of each sw_fate.
    [[nodiscard]] std::array<std::uint32_t, SW_FATE_COUNT> count_sources() const;

    // The policy in force, from the maps, without the sources: of those, the maps keep
    // hashes. `config.abi` is 0 where there is none.
    [[nodiscard]] Result<CompiledPolicy> read_policy() const;

    // Changes the mode of one service at once. Code `missing` names those there are.
    Result<void> set_mode(std::string_view service, sw_mode mode);

    // A fresh cookie key from the next but one epoch on. Not rotated, and nothing
    // changed, when cookies of the key to be replaced may still be alive (two
    // rotations within about three minutes). Code `missing` without a policy.
    Result<Rotation> rotate_keys();

    // Walks over the sockets of the caller's network namespace, which must be
    // the interface's, and makes the filter of known tuples complete. Call after
    // arming, and now and then. Loads the walking program on first use; `object`
    // as in LoadOptions. Returns how many services gained trust.
    enum class Filter {
        most,  // the walk begins a generation as large as there can be one
        fit,   // one that fits the connections: for who asks filter_wants_renewal() every few seconds
        keep,  // none: the last is younger than a connection needs to get its socket, or lacks some
    };
    Result<unsigned> learn(const std::string& object = {}, Filter filter = Filter::most);
    [[nodiscard]] FilterUse filter_use() const;

    // Decisions that the program goes by until they expire; a full table loses its oldest.
    Result<void> write_tickets(std::span<const Ticket> tickets);
    // Those about one source that are in force; not those about shapes of SYNs.
    [[nodiscard]] Result<std::vector<TicketView>> tickets_of(const Address& source) const;
    // All that are in force, by service, doubt and source.
    [[nodiscard]] Result<std::vector<TicketEntry>> tickets() const;
    // Takes those about sources within the prefix away, or all with those about shapes; returns
    // how many were in force. The program asks again, and the deciders may decide the same.
    Result<std::uint32_t> delete_tickets(const std::optional<Prefix>& sources);

    [[nodiscard]] Result<Stats> stats() const;
    // Indexed like CompiledPolicy::services.
    [[nodiscard]] Result<std::vector<ServiceState>> states() const;
    // The live config: stamps, keys, flags.
    [[nodiscard]] sw_config config() const;

    // Entries in the flow table: walks it, so not for a hot path.
    [[nodiscard]] Result<std::uint64_t> count_flows() const;
    // Memory the maps may take at most, in bytes, as the kernel reports it.
    [[nodiscard]] Result<std::uint64_t> memory() const;

    // The maps, by name.
    [[nodiscard]] std::vector<MapView> maps() const;
    // How long cookies have been made with the present key; less than zero where it is the next
    // one's turn soon. To within the length of an epoch, and of the first key two too many.
    [[nodiscard]] Result<std::chrono::seconds> key_age() const;

    // Descriptor of a map by its name in lib/abi/maps.h; owned by the instance, -1 if absent.
    [[nodiscard]] int map_fd(std::string_view name) const;
    // Descriptor of the XDP program, owned by the instance.
    [[nodiscard]] int program_fd() const;

  private:
    struct Impl;
    explicit Instance(std::unique_ptr<Impl> impl);
    Result<void> attach_companion(const std::string& object);
    std::unique_ptr<Impl> impl_;
};

}  // namespace synward
